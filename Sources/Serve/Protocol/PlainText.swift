import DoraRuntime

/// Prompts and texts on one line of the protocol: line feed, carriage return, tab and backslash are escaped.
package enum PlainText {
    /// An escape that the protocol does not know.
    package struct BadEscape: Error, Equatable, CustomStringConvertible {
        /// Bytes before it.
        package let offset: Int
        package var description: String {
            "byte \(offset): a backslash stands before n, r, t or another backslash"
        }
    }

    /// One line for one text; a text that starts with `!` must not look like an error.
    package static func escape(_ text: String) -> String {
        var line = text.utf8.first == UInt8(ascii: "!") ? "\\" : ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            case "\\": line += "\\\\"
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    /// The reply to a line that could not be answered.
    static func line(for error: EngineError) -> String {
        "!" + escape("\(error.code): \(error.message)")
    }

    /// The text of a line; `\!` is what `escape` writes before a leading `!`.
    package static func unescape(_ line: String, allowingMark: Bool = false) throws(BadEscape) -> String {
        var text = ""
        var offset = 0
        var scalars = line.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            if scalar != "\\" {
                text.unicodeScalars.append(scalar)
                offset += UTF8.width(scalar)
                continue
            }
            switch scalars.next() {
            case "n": text += "\n"
            case "r": text += "\r"
            case "t": text += "\t"
            case "\\": text += "\\"
            case "!" where allowingMark && offset == 0: text += "!"
            default: throw BadEscape(offset: offset)
            }
            offset += 2
        }
        return text
    }
}
