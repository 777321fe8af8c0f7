/// Cuts a template into text and the tokens of its tags, and does what Jinja does to white space around them with
/// `trim_blocks` and `lstrip_blocks` on, as transformers sets them (jinja2 3.1, `lexer.py`).
struct Lexer {
    let source: [UInt8]
    private var position = 0
    private var line = 1
    private(set) var tokens: [Token] = []
    /// Whether the last thing read ended a line: only then is a tag that follows at a line's start.
    private var lineStarting = true

    private enum Tag { case variable, block, comment }

    /// - Parameter template: its line ends become line feeds, and one final line feed goes.
    static func tokenize(_ template: String) throws(SyntaxFailure) -> (tokens: [Token], source: [UInt8]) {
        var lexer = Lexer(template)
        try lexer.run()
        return (lexer.tokens, lexer.source)
    }

    private init(_ template: String) {
        var source: [UInt8] = []
        source.reserveCapacity(template.utf8.count)
        var previous: UInt8 = 0
        for byte in template.utf8 {
            if byte == 0x0D {
                source.append(0x0A)
            } else if byte != 0x0A || previous != 0x0D {
                source.append(byte)
            }
            previous = byte
        }
        if source.last == 0x0A { source.removeLast() }
        self.source = source
    }

    private mutating func run() throws(SyntaxFailure) {
        while let (tag, start) = nextTag() {
            let sign = byte(at: start + 2)
            emit(text: position..<start, before: tag, sign: sign)
            position = start + 2 + (sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") ? 1 : 0)
            lineStarting = false
            switch tag {
            case .comment: try skipComment()
            case .variable:
                append(.variableBegin, from: start)
                try readTag(.variable)
            case .block:
                if let end = rawBegin(at: position) {
                    advance(to: end)
                    try readRaw()
                } else {
                    append(.blockBegin, from: start)
                    try readTag(.block)
                }
            }
        }
        if position < source.count { append(.data(String(bytes: source[position...])), from: position) }
        advance(to: source.count)
        append(.end, from: source.count)
    }

    private func byte(at index: Int) -> UInt8? { index < source.count ? source[index] : nil }

    private func has(_ text: StaticString, at index: Int) -> Bool {
        guard index + text.utf8CodeUnitCount <= source.count else { return false }
        for offset in 0..<text.utf8CodeUnitCount where source[index + offset] != text.utf8Start[offset] {
            return false
        }
        return true
    }

    private mutating func append(_ kind: Token.Kind, from start: Int) {
        tokens.append(Token(kind: kind, line: line, range: start..<max(start, position)))
    }

    private func nextTag() -> (Tag, Int)? {
        var index = position
        while index + 1 < source.count {
            if source[index] == UInt8(ascii: "{") {
                switch source[index + 1] {
                case UInt8(ascii: "{"): return (.variable, index)
                case UInt8(ascii: "%"): return (.block, index)
                case UInt8(ascii: "#"): return (.comment, index)
                default: break
                }
            }
            index += 1
        }
        return nil
    }

    /// Moves on, counting lines.
    private mutating func advance(to end: Int) {
        for index in position..<max(position, end) where source[index] == 0x0A { line += 1 }
        if end > position { lineStarting = source[end - 1] == 0x0A }
        position = max(position, end)
    }

    /// The text before a tag, without the white space that the tag takes away.
    private mutating func emit(text range: Range<Int>, before tag: Tag, sign: UInt8?) {
        var end = range.upperBound
        if sign == UInt8(ascii: "-") {
            end = trimmedEnd(of: range)
        } else if sign != UInt8(ascii: "+"), tag != .variable {
            let lineStart = (source[range].lastIndex(of: 0x0A).map { $0 + 1 }) ?? range.lowerBound
            if lineStart > range.lowerBound || lineStarting, trimmedEnd(of: lineStart..<end) == lineStart {
                end = lineStart
            }
        }
        if end > range.lowerBound {
            append(.data(String(bytes: source[range.lowerBound..<end])), from: range.lowerBound)
        }
        for index in range where source[index] == 0x0A { line += 1 }
        position = range.upperBound
    }

    private func trimmedEnd(of range: Range<Int>) -> Int {
        let scalars = String(bytes: source[range]).unicodeScalars
        var end = scalars.endIndex
        while end > scalars.startIndex, scalars[scalars.index(before: end)].isPythonSpace {
            end = scalars.index(before: end)
        }
        return range.lowerBound + scalars[..<end].reduce(0) { $0 + UTF8.width($1) }
    }

    /// The place after white space.
    private func skippingSpace(from start: Int) -> Int {
        var index = start
        while let (scalar, next) = scalar(at: index), scalar.isPythonSpace { index = next }
        return index
    }

    private func scalar(at index: Int) -> (Unicode.Scalar, Int)? {
        guard let first = byte(at: index) else { return nil }
        if first < 0x80 { return (Unicode.Scalar(first), index + 1) }
        let width = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        let end = min(index + width, source.count)
        return String(bytes: source[index..<end]).unicodeScalars.first.map { ($0, end) }
    }

    /// The end of a tag that closes here, with the white space that it takes away, or nil.
    private func tagEnd(_ tag: Tag, at index: Int) -> Int? {
        switch tag {
        case .variable:
            if has("-}}", at: index) { return skippingSpace(from: index + 3) }
            return has("}}", at: index) ? index + 2 : nil
        case .block:
            if has("-%}", at: index) { return skippingSpace(from: index + 3) }
            if has("+%}", at: index) { return index + 3 }
            return has("%}", at: index) ? trimmingLineFeed(index + 2) : nil
        case .comment:
            if has("-#}", at: index) { return skippingSpace(from: index + 3) }
            if has("+#}", at: index) { return index + 3 }
            return has("#}", at: index) ? trimmingLineFeed(index + 2) : nil
        }
    }

    private func trimmingLineFeed(_ index: Int) -> Int { byte(at: index) == 0x0A ? index + 1 : index }

    private mutating func skipComment() throws(SyntaxFailure) {
        for index in position..<max(position, source.count) {
            if let end = tagEnd(.comment, at: index) { return advance(to: end) }
        }
        throw SyntaxFailure(message: "Missing end of comment tag", line: line)
    }

    /// The place after `raw %}`, if that is what stands here.
    private func rawBegin(at start: Int) -> Int? {
        let word = skippingSpace(from: start)
        guard has("raw", at: word) else { return nil }
        let end = skippingSpace(from: word + 3)
        if has("-%}", at: end) { return skippingSpace(from: end + 3) }
        return has("%}", at: end) ? end + 2 : nil
    }

    private mutating func readRaw() throws(SyntaxFailure) {
        if position == source.count { return }
        var index = position
        while index + 1 < source.count {
            if has("{%", at: index) {
                let sign = byte(at: index + 2)
                let signed = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
                let word = skippingSpace(from: index + (signed ? 3 : 2))
                if has("endraw", at: word), let end = tagEnd(.block, at: skippingSpace(from: word + 6)) {
                    emit(text: position..<index, before: .block, sign: sign)
                    return advance(to: end)
                }
            }
            index += 1
        }
        throw SyntaxFailure(message: "Missing end of raw directive", line: line)
    }

    /// The tokens of a tag up to its end, which counts only outside of brackets.
    private mutating func readTag(_ tag: Tag) throws(SyntaxFailure) {
        var open: [Token.Symbol] = []
        while position < source.count {
            let start = position
            if open.isEmpty, let end = tagEnd(tag, at: position) {
                let kind: Token.Kind = tag == .variable ? .variableEnd : .blockEnd
                tokens.append(Token(kind: kind, line: line, range: start..<start + 2))
                return advance(to: end)
            }
            let space = skippingSpace(from: position)
            if space > position {
                advance(to: space)
                continue
            }
            let kind = try readToken()
            if case .symbol(let symbol) = kind {
                if let closing = symbol.closing {
                    open.append(closing)
                } else if symbol == .rightBrace || symbol == .rightBracket || symbol == .rightParenthesis {
                    guard let expected = open.popLast() else {
                        throw SyntaxFailure(message: "unexpected '\(symbol.rawValue)'", line: line)
                    }
                    if expected != symbol {
                        throw SyntaxFailure(
                            message: "unexpected '\(symbol.rawValue)', expected '\(expected.rawValue)'",
                            line: line)
                    }
                }
            }
            let firstLine = line
            let end = position
            position = start
            advance(to: end)
            tokens.append(Token(kind: kind, line: firstLine, range: start..<end))
        }
    }

    /// Reads one token, moving `position` but not `line`.
    private mutating func readToken() throws(SyntaxFailure) -> Token.Kind {
        let first = source[position]
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            let afterDot = position > 0 && source[position - 1] == UInt8(ascii: ".")
            do throws(Failure) {
                let number = try NumberLiteral.read(source, from: position, afterDot: afterDot)
                position = number.end
                return number.kind
            } catch {
                throw SyntaxFailure(message: error.message, line: line)
            }
        case UInt8(ascii: "'"), UInt8(ascii: "\""):
            guard let end = StringLiteral.end(source, from: position) else {
                throw SyntaxFailure(message: "the string that begins here does not end", line: line)
            }
            let body = source[position + 1..<end - 1]
            position = end
            do throws(Failure) {
                return .string(try StringLiteral.unescape(String(bytes: body)))
            } catch {
                throw SyntaxFailure(message: error.message, line: line)
            }
        default:
            if let name = try readName() { return .name(name) }
            for symbol in Token.Symbol.allCases where source[position...].starts(with: symbol.rawValue.utf8) {
                position += symbol.rawValue.utf8.count
                return .symbol(symbol)
            }
        }
        let character = scalar(at: position).map { String($0.0) } ?? ""
        throw SyntaxFailure(message: "unexpected char \(Representation.quote(character))", line: line)
    }

    private mutating func readName() throws(SyntaxFailure) -> String? {
        var end = position
        while let (scalar, next) = scalar(at: end), scalar == "_" || scalar.properties.isXIDContinue {
            end = next
        }
        if end == position { return nil }
        let name = String(bytes: source[position..<end])
        guard let first = name.unicodeScalars.first, first == "_" || first.properties.isXIDStart else {
            throw SyntaxFailure(message: "Invalid character in identifier", line: line)
        }
        position = end
        return name
    }
}
