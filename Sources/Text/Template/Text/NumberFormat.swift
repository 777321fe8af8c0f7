/// The field that `%` and `format` put a value in.
struct NumberFormat {
    var fill: Unicode.Scalar = " "
    /// `<`, `>`, `=` (after the sign) or `^`; nil for what suits the value.
    var alignment: Unicode.Scalar?
    /// `+`, a space, or `-`.
    var sign: Unicode.Scalar = "-"
    var alternate = false
    var grouping: Unicode.Scalar?
    var width = 0
    var precision: Int?

    /// A width or a precision beyond this is refused.
    static let maximumWidth = 1 << 16
    static let maximumPrecision = 1 << 10

    func padded(_ text: String, prefix: String = "", standard: Unicode.Scalar) -> String {
        let missing = width - text.codePointCount - prefix.codePointCount
        if missing <= 0 { return prefix + text }
        func run(_ count: Int) -> String { String(repeatElement(fill, count: count)) }
        switch alignment ?? standard {
        case "<": return prefix + text + run(missing)
        case "=": return prefix + run(missing) + text
        case "^": return run(missing / 2) + prefix + text + run(missing - missing / 2)
        default: return run(missing) + prefix + text
        }
    }

    func signPrefix(isNegative: Bool) -> String {
        isNegative ? "-" : sign == "-" ? "" : String(sign)
    }

    /// An integer in a base, with its sign and prefix.
    func integer(_ value: BigInteger, radix: UInt32, prefix: String = "", uppercase: Bool = false) -> String {
        var digits = value.magnitude.text(radix: radix)
        if let precision, digits.utf8.count < precision {
            digits = String(repeating: "0", count: precision - digits.utf8.count) + digits
        }
        if uppercase { digits = PythonText.upper(digits) }
        if let grouping { digits = Self.grouped(digits, grouping, size: radix == 10 ? 3 : 4) }
        return padded(
            digits, prefix: signPrefix(isNegative: value.isNegative) + (alternate ? prefix : ""),
            standard: ">")
    }

    /// A float as `e`, `f`, `g` and `%` write it.
    func float(_ value: Double, type: Unicode.Scalar) -> String {
        let magnitude = value.magnitude
        let precision = precision ?? 6
        var text: String
        switch type {
        case "e", "E": text = FloatFormat.exponential(magnitude, precision: precision)
        case "g", "G": text = FloatFormat.general(magnitude, precision: precision, keepingZeros: alternate)
        case "%": text = FloatFormat.fixed(magnitude * 100, precision: precision) + "%"
        default: text = FloatFormat.fixed(magnitude, precision: precision)
        }
        if type == "E" || type == "F" || type == "G" { text = PythonText.upper(text) }
        return float(text, isNegative: value.sign == .minus && !value.isNaN)
    }

    func float(_ magnitude: String, isNegative: Bool) -> String {
        var text = magnitude
        if let grouping {
            let whole = text.utf8.prefix { (0x30...0x39).contains($0) }
            text =
                Self.grouped(String(bytes: whole), grouping, size: 3)
                + String(bytes: text.utf8.dropFirst(whole.count))
        }
        return padded(text, prefix: signPrefix(isNegative: isNegative), standard: ">")
    }

    private static func grouped(_ digits: String, _ separator: Unicode.Scalar, size: Int) -> String {
        var result = ""
        for (index, digit) in digits.unicodeScalars.enumerated() {
            if index > 0, (digits.utf8.count - index) % size == 0 { result.unicodeScalars.append(separator) }
            result.unicodeScalars.append(digit)
        }
        return result
    }
}
