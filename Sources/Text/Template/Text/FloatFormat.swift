/// Floating-point numbers as Python writes them.
enum FloatFormat {
    /// `repr`: the shortest digits that read back the same; an exponent below 1e-4 and from 1e16 on.
    static func shortest(_ value: Double) -> String {
        guard value.isFinite else { return special(value) }
        let (digits, point) = shortestDigits(value.magnitude)
        let sign = value.sign == .minus ? "-" : ""
        if point > 16 || point < -3 { return sign + scientific(digits, exponent: point - 1) }
        return sign + positional(digits, point: point, fraction: 1)
    }

    /// `%.{precision}f`, correctly rounded, halves to even.
    static func fixed(_ value: Double, precision: Int) -> String {
        guard value.isFinite else { return special(value) }
        var digits = Array(scaled(value.magnitude, precision: precision).description.utf8)
        if digits.count <= precision {
            digits.insert(
                contentsOf: repeatElement(UInt8(ascii: "0"), count: precision + 1 - digits.count), at: 0)
        }
        let whole = String(bytes: digits.prefix(digits.count - precision))
        let sign = value.sign == .minus ? "-" : ""
        return sign + whole + (precision > 0 ? "." + String(bytes: digits.suffix(precision)) : "")
    }

    /// `%.{precision}e`.
    static func exponential(_ value: Double, precision: Int) -> String {
        guard value.isFinite else { return special(value) }
        let (digits, point) = roundedDigits(value.magnitude, count: precision + 1)
        let sign = value.sign == .minus ? "-" : ""
        return sign + scientific(digits, exponent: point - 1, keepingZeros: true)
    }

    /// `%.{precision}g`.
    static func general(_ value: Double, precision: Int, keepingZeros: Bool = false) -> String {
        guard value.isFinite else { return special(value) }
        let precision = max(precision, 1)
        var (digits, point) = roundedDigits(value.magnitude, count: precision)
        if !keepingZeros { while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() } }
        let sign = value.sign == .minus ? "-" : ""
        if point - 1 < -4 || point > precision {
            return sign + scientific(digits, exponent: point - 1, keepingZeros: true)
        }
        return sign + positional(digits, point: point, fraction: 0)
    }

    static func special(_ value: Double) -> String {
        value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
    }

    /// value · 10^precision as an integer, halves to even. `value` is not negative.
    private static func scaled(_ value: Double, precision: Int) -> BigInteger {
        if value == 0 { return BigInteger(0) }
        var significand = BigInteger(Int(value.significandBitPattern) | (value.isNormal ? 1 << 52 : 0))
        let exponent = (value.isNormal ? Int(value.exponent) : -1022) - 52
        for _ in 0..<precision { significand = significand * BigInteger(10) }
        if exponent >= 0 { return significand.shiftedLeft(by: exponent) }
        var quotient = significand.shiftedRight(by: -exponent)
        let rest = significand - quotient.shiftedLeft(by: -exponent)
        let half = BigInteger(1).shiftedLeft(by: -exponent - 1)
        if half < rest || (rest == half && quotient.isOdd) { quotient = quotient + BigInteger(1) }
        return quotient
    }

    /// The first `count` decimal digits, rounded, and where the decimal point stands among them.
    private static func roundedDigits(_ value: Double, count: Int) -> (digits: [UInt8], point: Int) {
        if value == 0 { return ([UInt8](repeating: UInt8(ascii: "0"), count: count), 1) }
        // Exact digits of the value: fixed notation with all of them.
        var digits = Array(fixed(value, precision: 1074).utf8.filter { $0 != UInt8(ascii: ".") })
        var point = digits.count - 1074
        let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(zeros)
        point -= zeros
        guard digits.count > count else {
            return (digits + [UInt8](repeating: UInt8(ascii: "0"), count: count - digits.count), point)
        }
        let rest = digits[count...]
        var kept = Array(digits[..<count])
        let first = rest.first ?? 0
        let isHalf = first == UInt8(ascii: "5") && rest.dropFirst().allSatisfy { $0 == UInt8(ascii: "0") }
        let isOdd = (kept.last ?? 0) & 1 == 1
        if first > UInt8(ascii: "5") || (first == UInt8(ascii: "5") && (!isHalf || isOdd)) {
            var index = count - 1
            while index >= 0 {
                if kept[index] < UInt8(ascii: "9") {
                    kept[index] += 1
                    return (kept, point)
                }
                kept[index] = UInt8(ascii: "0")
                index -= 1
            }
            kept.insert(UInt8(ascii: "1"), at: 0)
            kept.removeLast()
            point += 1
        }
        return (kept, point)
    }

    /// Swift's description has the shortest digits too, only spelled differently.
    private static func shortestDigits(_ value: Double) -> (digits: [UInt8], point: Int) {
        if value == 0 { return ([UInt8(ascii: "0")], 1) }
        let parts = value.description.split(separator: "e")
        var digits: [UInt8] = []
        var point = 0
        var seenPoint = false
        for byte in parts[0].utf8 {
            if byte == UInt8(ascii: ".") {
                seenPoint = true
            } else {
                digits.append(byte)
                if !seenPoint { point += 1 }
            }
        }
        if parts.count > 1 { point += Int(parts[1]) ?? 0 }
        while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }
        while digits.count > 1, digits.first == UInt8(ascii: "0") {
            digits.removeFirst()
            point -= 1
        }
        return (digits, point)
    }

    private static func positional(_ digits: [UInt8], point: Int, fraction: Int) -> String {
        var digits = digits
        var point = point
        if point <= 0 {
            digits.insert(contentsOf: repeatElement(UInt8(ascii: "0"), count: 1 - point), at: 0)
            point = 1
        }
        while digits.count < point + fraction { digits.append(UInt8(ascii: "0")) }
        let whole = String(bytes: digits.prefix(point))
        return digits.count > point ? whole + "." + String(bytes: digits[point...]) : whole
    }

    private static func scientific(_ digits: [UInt8], exponent: Int, keepingZeros: Bool = false) -> String {
        let first = String(bytes: digits.prefix(1))
        let rest = digits.count > 1 ? "." + String(bytes: digits[1...]) : ""
        let power = String(exponent.magnitude)
        return first + rest + (exponent < 0 ? "e-" : "e+") + (power.count < 2 ? "0" + power : power)
    }
}
