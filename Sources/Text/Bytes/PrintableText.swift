extension String {
    /// The text on one line, with control characters as Swift spells them (`\n`, `\u{1B}`).
    ///
    /// Messages quote what files of strangers hold; that must neither end the line nor steer the terminal.
    package var printable: String { spelling(\.isControl) }

    /// With line feeds and tabs, and what else would steer a terminal spelled out.
    package var harmless: String { spelling(\.steersTerminal) }

    private func spelling(_ isSpelled: (Unicode.Scalar) -> Bool) -> String {
        if !unicodeScalars.contains(where: isSpelled) { return self }
        var result = ""
        for scalar in unicodeScalars {
            switch scalar {
            case _ where !isSpelled(scalar): result.unicodeScalars.append(scalar)
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            }
        }
        return result
    }
}

extension Unicode.Scalar {
    /// Whether text that holds it does more to a terminal than begin a line or go to a column.
    package var steersTerminal: Bool { isControl && self != "\n" && self != "\t" }

    /// Ends a line, steers a terminal, or turns the direction of the text behind it.
    fileprivate var isControl: Bool {
        switch value {
        case 0x00...0x1F, 0x7F...0x9F, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
