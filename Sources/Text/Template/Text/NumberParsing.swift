/// Python's `int(…)` and `float(…)` of text.
enum NumberParsing {
    /// Nil where Python raises and `int` answers its default.
    static func integer(_ value: TemplateValue, base: Int) throws -> TemplateValue? {
        if let integer = value.integer { return .integer(integer) }
        if case .float(let number) = value {
            if number.isNaN { return nil }
            guard let whole = BigInteger(truncating: number) else {
                throw Failure.type("cannot convert float infinity to integer")
            }
            return .integer(whole)
        }
        guard let text = value.text else { return nil }
        if base == 0 || (2...36).contains(base), let integer = parse(PythonText.strip(text), base: base) {
            return .integer(integer)
        }
        guard let number = float(text), let whole = BigInteger(truncating: number) else { return nil }
        return .integer(whole)
    }

    /// Decimal digits of all scripts count, as in Python.
    private static func withPlainDigits(_ text: String) -> String {
        if text.isASCII { return text }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    let properties = scalar.properties
                    guard properties.numericType == .decimal, let value = properties.numericValue else {
                        return scalar
                    }
                    return Unicode.Scalar(UInt8(ascii: "0") + UInt8(value))
                }))
    }

    private static func parse(_ text: String, base: Int) -> BigInteger? {
        var rest = withPlainDigits(text).utf8[...]
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest.removeFirst()
        }
        var radix = base
        var afterPrefix = false
        if rest.first == UInt8(ascii: "0"), let letter = rest.dropFirst().first {
            let named = [UInt8(ascii: "b"): 2, UInt8(ascii: "o"): 8, UInt8(ascii: "x"): 16][letter | 0x20]
            if let named, base == 0 || base == named {
                radix = named
                rest = rest.dropFirst(2)
                afterPrefix = true
            }
        }
        if radix == 0 {
            if rest.first == UInt8(ascii: "0"),
                rest.contains(where: { $0 != UInt8(ascii: "0") && $0 != UInt8(ascii: "_") })
            {
                return nil
            }
            radix = 10
        }
        if rest.count > 4300 { return nil }
        var digits: [UInt8] = []
        var previousIsDigit = afterPrefix
        for byte in rest {
            if byte == UInt8(ascii: "_") {
                if !previousIsDigit { return nil }
                previousIsDigit = false
                continue
            }
            digits.append(byte)
            previousIsDigit = true
        }
        guard previousIsDigit, !digits.isEmpty else { return nil }
        var value = BigInteger(0)
        for digit in digits {
            let letter = digit | 0x20
            let number: Int =
                switch digit {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(digit) - 48
                default: (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter) ? Int(letter) - 87 : 99
                }
            if number >= radix { return nil }
            value = value * BigInteger(radix) + BigInteger(number)
        }
        return isNegative ? -value : value
    }

    static func float(_ text: String) -> Double? {
        let text = withPlainDigits(PythonText.strip(text))
        var digits: [UInt8] = []
        let bytes = Array(text.utf8)
        func isDigit(_ index: Int) -> Bool {
            bytes.indices.contains(index) && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index])
        }
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "_") {
                guard isDigit(index - 1), isDigit(index + 1) else { return nil }
            } else {
                digits.append(byte | (byte >= 0x41 && byte <= 0x5A ? 0x20 : 0))
            }
        }
        var plain = String(bytes: digits)
        if plain.hasPrefix("+") { plain.removeFirst() }
        switch plain {
        case "inf", "infinity": return .infinity
        case "-inf", "-infinity": return -.infinity
        case "nan", "-nan": return .nan
        default: break
        }
        guard plain.utf8.allSatisfy({ (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E, 0x65].contains($0) })
        else { return nil }
        if text.hasPrefix("+"), plain.hasPrefix("+") || plain.hasPrefix("-") { return nil }
        var spelled = plain
        if spelled.hasSuffix(".") { spelled += "0" }
        spelled = PythonText.replace(spelled, ".e", with: ".0e")
        if spelled.hasPrefix(".") { spelled = "0" + spelled }
        if spelled.hasPrefix("-.") { spelled = "-0" + spelled.dropFirst() }
        guard spelled.utf8.contains(where: { (0x30...0x39).contains($0) }), plain != ".", plain != "-." else {
            return nil
        }
        return Double(spelled)
    }
}
