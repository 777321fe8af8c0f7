/// String constants.
enum StringLiteral {
    /// The place after the closing quote of the string that begins at `start`.
    static func end(_ source: [UInt8], from start: Int) -> Int? {
        var index = start + 1
        while index < source.count {
            if source[index] == UInt8(ascii: "\\") {
                index += 2
            } else if source[index] == source[start] {
                return index + 1
            } else {
                index += 1
            }
        }
        return nil
    }

    /// Python's escapes; an unknown one stays as it is written.
    static func unescape(_ text: String) throws(Failure) -> String {
        if !text.utf8.contains(UInt8(ascii: "\\")) { return text }
        var result = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "\\" else {
                result.append(scalar)
                continue
            }
            guard let escape = rest.popFirst() else { throw Failure.syntax("\\ at end of string") }
            switch escape {
            case "\n": break
            case "\\", "'", "\"": result.append(escape)
            case "a": result.append("\u{07}")
            case "b": result.append("\u{08}")
            case "f": result.append("\u{0C}")
            case "n": result.append("\n")
            case "r": result.append("\r")
            case "t": result.append("\t")
            case "v": result.append("\u{0B}")
            case "x": result.append(try hexadecimal(&rest, digits: 2, "\\xXX"))
            case "u": result.append(try hexadecimal(&rest, digits: 4, "\\uXXXX"))
            case "U": result.append(try hexadecimal(&rest, digits: 8, "\\UXXXXXXXX"))
            case "N": throw Failure.syntax("\\N{...} escapes are not supported: write the character itself")
            case "0"..."7":
                var value = escape.value - 48
                for _ in 0..<2 {
                    guard let next = rest.first, ("0"..."7").contains(next) else { break }
                    value = value * 8 + next.value - 48
                    rest.removeFirst()
                }
                if let octal = Unicode.Scalar(value) { result.append(octal) }
            default:
                result.append("\\")
                // jinja2 turns what is not ASCII into escapes before it reads them.
                if escape.isASCII {
                    result.append(escape)
                } else {
                    result.append(contentsOf: Representation.escape(escape).unicodeScalars.dropFirst())
                }
            }
        }
        return String(result)
    }

    private static func hexadecimal(
        _ rest: inout Substring.UnicodeScalarView, digits: Int, _ form: String
    ) throws(Failure) -> Unicode.Scalar {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let next = rest.first, next.isASCII, let digit = Character(next).hexDigitValue,
                value < 1 << 28
            else {
                throw Failure.syntax("truncated \(form) escape")
            }
            value = value << 4 | UInt32(digit)
            rest.removeFirst()
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw Failure.syntax("the escape \(form) names a surrogate, or no character at all")
        }
        return scalar
    }
}

/// Number constants; `_` may stand between digits.
enum NumberLiteral {
    /// As many as Python converts.
    static let maximumDigits = 4300

    static func read(
        _ source: [UInt8], from start: Int, afterDot: Bool
    ) throws(Failure) -> (kind: Token.Kind, end: Int) {
        if !afterDot, let float = readFloat(source, from: start) { return float }
        if source[start] == UInt8(ascii: "0"), start + 1 < source.count {
            let radix: Int? =
                switch source[start + 1] | 0x20 {
                case UInt8(ascii: "b"): 2
                case UInt8(ascii: "o"): 8
                case UInt8(ascii: "x"): 16
                default: nil
                }
            if let radix {
                let end = digits(source, from: start + 2, radix: radix, leadingUnderscore: true)
                if end > start + 2 {
                    return (try integer(source[start + 2..<end], radix: UInt32(radix)), end)
                }
            }
            // Zeros only: `012` is `0` and `12`.
            var end = start + 1
            while end < source.count {
                let next = source[end] == UInt8(ascii: "_") ? end + 1 : end
                guard next < source.count, source[next] == UInt8(ascii: "0") else { break }
                end = next + 1
            }
            return (.integer(BigInteger(0)), end)
        }
        let end = digits(source, from: start, radix: 10)
        return (try integer(source[start..<end], radix: 10), end)
    }

    private static func readFloat(_ source: [UInt8], from start: Int) -> (kind: Token.Kind, end: Int)? {
        let whole = digits(source, from: start, radix: 10)
        if whole == start { return nil }
        var end = whole
        if end < source.count, source[end] == UInt8(ascii: ".") {
            let fraction = digits(source, from: end + 1, radix: 10)
            if fraction > end + 1 { end = fraction }
        }
        var exponent = end
        if exponent < source.count, source[exponent] | 0x20 == UInt8(ascii: "e") {
            exponent += 1
            if exponent < source.count,
                source[exponent] == UInt8(ascii: "+") || source[exponent] == UInt8(ascii: "-")
            {
                exponent += 1
            }
            let power = digits(source, from: exponent, radix: 10)
            if power > exponent { end = power }
        }
        if end == whole { return nil }
        let text = String(bytes: source[start..<end].filter { $0 != UInt8(ascii: "_") })
        return Double(text).map { (.float($0), end) }
    }

    private static func digits(
        _ source: [UInt8], from start: Int, radix: Int, leadingUnderscore: Bool = false
    ) -> Int {
        var end = start
        while end < source.count {
            let underscore = source[end] == UInt8(ascii: "_") && (end > start || leadingUnderscore)
            let next = underscore ? end + 1 : end
            guard next < source.count, let digit = Character(UnicodeScalar(source[next])).hexDigitValue,
                digit < radix
            else { break }
            end = next + 1
        }
        return end
    }

    private static func integer(_ digits: ArraySlice<UInt8>, radix: UInt32) throws(Failure) -> Token.Kind {
        if digits.count > maximumDigits {
            throw Failure.syntax("an integer has more than \(maximumDigits) digits")
        }
        return .integer(
            BigInteger(String(bytes: digits.filter { $0 != UInt8(ascii: "_") }), radix: radix)
                ?? BigInteger(0))
    }
}
