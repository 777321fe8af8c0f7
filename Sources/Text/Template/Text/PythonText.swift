/// Python's methods of strings, over code points.
enum PythonText {
    enum Side { case left, right, both }

    static func strip(_ text: String, _ characters: String? = nil, _ side: Side = .both) -> String {
        let set = characters.map { Set($0.unicodeScalars) }
        func isStripped(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? scalar.isPythonSpace }
        let view = text.unicodeScalars
        var start = view.startIndex
        var end = view.endIndex
        if side != .right { while start < end, isStripped(view[start]) { start = view.index(after: start) } }
        if side != .left {
            while start < end {
                let before = view.index(before: end)
                guard isStripped(view[before]) else { break }
                end = before
            }
        }
        return start == view.startIndex && end == view.endIndex ? text : String(view[start..<end])
    }

    static func split(_ text: String, by separator: String, limit: Int) -> [String] {
        let bytes = Array(text.utf8)
        let width = separator.utf8.count
        var pieces: [String] = []
        var start = 0
        for place in SubstringSearch(Array(separator.utf8)).all(in: bytes, limit: limit < 0 ? .max : limit) {
            pieces.append(String(bytes: bytes[start..<place]))
            start = place + width
        }
        pieces.append(String(bytes: bytes[start...]))
        return pieces
    }

    static func splitFromRight(_ text: String, by separator: String, limit: Int) -> [String] {
        let bytes = Array(text.utf8.reversed())
        let width = separator.utf8.count
        var pieces: [String] = []
        var start = 0
        let places = SubstringSearch(separator.utf8.reversed()).all(
            in: bytes, limit: limit < 0 ? .max : limit)
        for place in places {
            pieces.append(String(bytes: bytes[start..<place].reversed()))
            start = place + width
        }
        pieces.append(String(bytes: bytes[start...].reversed()))
        return pieces.reversed()
    }

    /// Without a separator: runs of white space separate, and none stands at the ends, but behind the last piece that
    /// the limit allows.
    static func splitAtSpace(_ text: String, limit: Int, fromRight: Bool = false) -> [String] {
        var scalars = Array(text.unicodeScalars)
        if fromRight { scalars.reverse() }
        var pieces: [[Unicode.Scalar]] = []
        var index = 0
        while true {
            while index < scalars.count, scalars[index].isPythonSpace { index += 1 }
            if index == scalars.count { break }
            if limit >= 0, pieces.count == limit {
                pieces.append(Array(scalars[index...]))
                break
            }
            let start = index
            while index < scalars.count, !scalars[index].isPythonSpace { index += 1 }
            pieces.append(Array(scalars[start..<index]))
        }
        if !fromRight { return pieces.map { String($0) } }
        return pieces.reversed().map { String($0.reversed()) }
    }

    static func lines(_ text: String, keepingEnds: Bool = false) -> [String] {
        var lines: [String] = []
        var line = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar.isLineBreak else {
                line.append(scalar)
                continue
            }
            if keepingEnds { line.append(scalar) }
            if scalar == "\r", rest.first == "\n" {
                rest.removeFirst()
                if keepingEnds { line.append("\n") }
            }
            lines.append(String(line))
            line = String.UnicodeScalarView()
        }
        if !line.isEmpty { lines.append(String(line)) }
        return lines
    }

    static func replace(_ text: String, _ old: String, with new: String, limit: Int = -1) -> String {
        if limit == 0 { return text }
        if old.isEmpty {
            var result = ""
            var left = limit < 0 ? Int.max : limit
            for scalar in text.unicodeScalars {
                if left > 0 {
                    result += new
                    left -= 1
                }
                result.unicodeScalars.append(scalar)
            }
            return left > 0 ? result + new : result
        }
        return split(text, by: old, limit: limit).joined(separator: new)
    }

    // MARK: Case

    static func lower(_ text: String) -> String {
        if text.isASCII { return text.lowercased() }
        let scalars = Array(text.unicodeScalars)
        var result = ""
        for (index, scalar) in scalars.enumerated() {
            result += scalar == "Σ" && isFinal(scalars, index) ? "ς" : scalar.properties.lowercaseMapping
        }
        return result
    }

    static func upper(_ text: String) -> String {
        if text.isASCII { return text.uppercased() }
        return text.unicodeScalars.reduce(into: "") { $0 += $1.properties.uppercaseMapping }
    }

    /// Whether a capital sigma ends its word.
    private static func isFinal(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    static func capitalize(_ text: String) -> String {
        guard let first = text.unicodeScalars.first else { return text }
        return first.properties.titlecaseMapping
            + String(lower(text).unicodeScalars.dropFirst(lower(String(first)).unicodeScalars.count))
    }

    static func title(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        var result = ""
        var previousIsCased = false
        for (index, scalar) in scalars.enumerated() {
            if previousIsCased {
                result += scalar == "Σ" && isFinal(scalars, index) ? "ς" : scalar.properties.lowercaseMapping
            } else {
                result += scalar.properties.titlecaseMapping
            }
            previousIsCased = scalar.properties.isCased
        }
        return result
    }

    static func swapCase(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        return scalars.indices.reduce(into: "") { result, index in
            let scalar = scalars[index]
            if scalar.properties.isUppercase {
                result += scalar == "Σ" && isFinal(scalars, index) ? "ς" : scalar.properties.lowercaseMapping
            } else if scalar.properties.isLowercase {
                result += scalar.properties.uppercaseMapping
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }

    /// All cased characters are `isWanted`, and there is one.
    static func hasCase(_ text: String, _ isWanted: (Unicode.Scalar.Properties) -> Bool) -> Bool {
        var found = false
        for scalar in text.unicodeScalars where scalar.properties.isCased {
            if !isWanted(scalar.properties) { return false }
            found = true
        }
        return found
    }

    static func isTitle(_ text: String) -> Bool {
        var found = false
        var previousIsCased = false
        for scalar in text.unicodeScalars {
            let properties = scalar.properties
            if properties.isUppercase || properties.generalCategory == .titlecaseLetter {
                if previousIsCased { return false }
                previousIsCased = true
                found = true
            } else if properties.isLowercase {
                if !previousIsCased { return false }
                found = true
            } else {
                previousIsCased = false
            }
        }
        return found
    }

    /// The text in a field of a width, the rest filled at one side or both.
    static func padded(_ text: String, to width: Int, fill: Unicode.Scalar, _ side: Side) -> String {
        let width = max(width, 0)
        let missing = width - text.codePointCount
        if missing <= 0 { return text }
        func run(_ count: Int) -> String { String(repeatElement(fill, count: count)) }
        switch side {
        case .left: return run(missing) + text
        case .right: return text + run(missing)
        case .both:
            let left = missing / 2 + (missing & width & 1)
            return run(left) + text + run(missing - left)
        }
    }
}

/// What `escape` does, and Python's `markupsafe`.
enum HTML {
    static func escape(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&#34;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
