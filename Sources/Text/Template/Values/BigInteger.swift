/// An integer of any size, as Python's: a sign and a magnitude in limbs of 32 bits, the lowest first, without
/// leading zeros. Only what overflows `Int` is kept in it, so clarity comes before speed.
struct BigInteger: Equatable, Sendable {
    private(set) var isNegative: Bool
    private(set) var limbs: [UInt32]

    init(_ value: Int) {
        isNegative = value < 0
        let magnitude = value.magnitude
        self.limbs = [UInt32(truncatingIfNeeded: magnitude), UInt32(truncatingIfNeeded: magnitude >> 32)]
        normalize()
    }

    init(isNegative: Bool, limbs: [UInt32]) {
        self.isNegative = isNegative
        self.limbs = limbs
        normalize()
    }

    /// Digits of `radix`, optionally after a minus or plus sign.
    init?(_ text: some StringProtocol, radix: UInt32 = 10) {
        var digits = Substring(text).utf8[...]
        var negative = false
        if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            negative = sign == UInt8(ascii: "-")
            digits.removeFirst()
        }
        if digits.isEmpty { return nil }
        limbs = []
        isNegative = negative
        for byte in digits {
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue, digit < radix else { return nil }
            multiplyAdd(by: radix, adding: UInt32(digit))
        }
        normalize()
    }

    /// The integral part of a finite number.
    init?(truncating value: Double) {
        guard value.isFinite else { return nil }
        let whole = value.rounded(.towardZero)
        self.init(0)
        if whole == 0 { return }
        let shift = Int(whole.exponent) - 52
        let significand = Int(whole.significandBitPattern | (1 << 52))
        let scaled = BigInteger(significand)
        self = shift >= 0 ? scaled.shiftedLeft(by: shift) : BigInteger(significand >> -shift)
        isNegative = value < 0 && !isZero
    }

    var isZero: Bool { limbs.isEmpty }
    var bitWidth: Int {
        guard let top = limbs.last else { return 0 }
        return limbs.count * 32 - top.leadingZeroBitCount
    }
    var isOdd: Bool { (limbs.first ?? 0) & 1 == 1 }
    var magnitude: BigInteger { BigInteger(isNegative: false, limbs: limbs) }

    /// The value, if an `Int` holds it.
    var int: Int? {
        guard limbs.count <= 2 else { return nil }
        var magnitude: UInt = 0
        for limb in limbs.reversed() { magnitude = magnitude << 32 | UInt(limb) }
        if isNegative { return magnitude <= UInt(1) << 63 ? Int(truncatingIfNeeded: 0 &- magnitude) : nil }
        return Int(exactly: magnitude)
    }

    /// The nearest double, ties to even; infinite beyond its range.
    var double: Double {
        let width = bitWidth
        if width <= 64 {
            var magnitude: UInt64 = 0
            for limb in limbs.reversed() { magnitude = magnitude << 32 | UInt64(limb) }
            return isNegative ? -Double(magnitude) : Double(magnitude)
        }
        if width > 1024 { return isNegative ? -.infinity : .infinity }
        // The top 64 bits, the lowest of them set if any bit below is: enough to round correctly.
        let shift = width - 64
        let top = magnitude.shiftedRight(by: shift)
        var bits: UInt64 = 0
        for limb in top.limbs.reversed() { bits = bits << 32 | UInt64(limb) }
        if top.shiftedLeft(by: shift) != magnitude { bits |= 1 }
        let value = Double(sign: .plus, exponent: shift, significand: Double(bits))
        return isNegative ? -value : value
    }

    private mutating func normalize() {
        while limbs.last == 0 { limbs.removeLast() }
        if limbs.isEmpty { isNegative = false }
    }

    private mutating func multiplyAdd(by factor: UInt32, adding addend: UInt32) {
        var carry = UInt64(addend)
        for index in limbs.indices {
            let product = UInt64(limbs[index]) * UInt64(factor) + carry
            limbs[index] = UInt32(truncatingIfNeeded: product)
            carry = product >> 32
        }
        if carry > 0 { limbs.append(UInt32(carry)) }
    }

    /// Divides the magnitude, answering the remainder.
    private mutating func divide(by divisor: UInt32) -> UInt32 {
        var remainder: UInt64 = 0
        for index in limbs.indices.reversed() {
            let value = remainder << 32 | UInt64(limbs[index])
            limbs[index] = UInt32(value / UInt64(divisor))
            remainder = value % UInt64(divisor)
        }
        normalize()
        return UInt32(remainder)
    }

    func shiftedLeft(by bits: Int) -> BigInteger {
        var result = [UInt32](repeating: 0, count: bits / 32)
        let rest = UInt64(bits % 32)
        var carry: UInt64 = 0
        for limb in limbs {
            let value = UInt64(limb) << rest | carry
            result.append(UInt32(truncatingIfNeeded: value))
            carry = value >> 32
        }
        result.append(UInt32(carry))
        return BigInteger(isNegative: isNegative, limbs: result)
    }

    func shiftedRight(by bits: Int) -> BigInteger {
        let rest = UInt64(bits % 32)
        let kept = Array(limbs.dropFirst(bits / 32))
        var result: [UInt32] = []
        for index in kept.indices {
            let high = index + 1 < kept.count ? UInt64(kept[index + 1]) : 0
            result.append(UInt32(truncatingIfNeeded: (high << 32 | UInt64(kept[index])) >> rest))
        }
        return BigInteger(isNegative: isNegative, limbs: result)
    }
}

extension BigInteger: CustomStringConvertible {
    var description: String { text(radix: 10) }

    func text(radix: UInt32) -> String {
        if isZero { return "0" }
        var rest = self
        var digits: [UInt8] = []
        while !rest.isZero {
            let digit = UInt8(rest.divide(by: radix))
            digits.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
        if isNegative { digits.append(UInt8(ascii: "-")) }
        return String(decoding: digits.reversed(), as: UTF8.self)
    }
}

extension BigInteger: Comparable {
    static func < (a: BigInteger, b: BigInteger) -> Bool {
        if a.isNegative != b.isNegative { return a.isNegative }
        let order = compareMagnitudes(a.limbs, b.limbs)
        return a.isNegative ? order > 0 : order < 0
    }

    private static func compareMagnitudes(_ a: [UInt32], _ b: [UInt32]) -> Int {
        if a.count != b.count { return a.count < b.count ? -1 : 1 }
        for index in a.indices.reversed() where a[index] != b[index] { return a[index] < b[index] ? -1 : 1 }
        return 0
    }

    static prefix func - (value: BigInteger) -> BigInteger {
        BigInteger(isNegative: !value.isNegative, limbs: value.limbs)
    }

    static func + (a: BigInteger, b: BigInteger) -> BigInteger {
        if a.isNegative == b.isNegative {
            return BigInteger(isNegative: a.isNegative, limbs: sum(a.limbs, b.limbs))
        }
        let order = compareMagnitudes(a.limbs, b.limbs)
        if order == 0 { return BigInteger(0) }
        return order > 0
            ? BigInteger(isNegative: a.isNegative, limbs: difference(a.limbs, b.limbs))
            : BigInteger(isNegative: b.isNegative, limbs: difference(b.limbs, a.limbs))
    }

    static func - (a: BigInteger, b: BigInteger) -> BigInteger { a + -b }

    static func * (a: BigInteger, b: BigInteger) -> BigInteger {
        var result = [UInt32](repeating: 0, count: a.limbs.count + b.limbs.count)
        for (i, x) in a.limbs.enumerated() {
            var carry: UInt64 = 0
            for (j, y) in b.limbs.enumerated() {
                let value = UInt64(x) * UInt64(y) + UInt64(result[i + j]) + carry
                result[i + j] = UInt32(truncatingIfNeeded: value)
                carry = value >> 32
            }
            result[i + b.limbs.count] = UInt32(carry)
        }
        return BigInteger(isNegative: a.isNegative != b.isNegative, limbs: result)
    }

    /// Quotient rounded down and remainder with the divisor's sign, as Python's `divmod`. The divisor is not zero.
    func flooredDivision(by divisor: BigInteger) -> (quotient: BigInteger, remainder: BigInteger) {
        var (quotient, remainder) = magnitude.longDivision(by: divisor.magnitude)
        if isNegative { remainder = -remainder }
        if isNegative != divisor.isNegative { quotient = -quotient }
        if !remainder.isZero, remainder.isNegative != divisor.isNegative {
            quotient = quotient - BigInteger(1)
            remainder = remainder + divisor
        }
        return (quotient, remainder)
    }

    /// Bit by bit; both are positive.
    private func longDivision(by divisor: BigInteger) -> (BigInteger, BigInteger) {
        if divisor.limbs.count == 1, let only = divisor.limbs.first {
            var quotient = self
            let remainder = quotient.divide(by: only)
            return (quotient, BigInteger(Int(remainder)))
        }
        var quotient = [UInt32](repeating: 0, count: limbs.count)
        var remainder = BigInteger(0)
        for bit in stride(from: bitWidth - 1, through: 0, by: -1) {
            remainder = remainder.shiftedLeft(by: 1)
            if limbs[bit / 32] >> UInt32(bit % 32) & 1 == 1 { remainder = remainder + BigInteger(1) }
            if !(remainder < divisor) {
                remainder = remainder - divisor
                quotient[bit / 32] |= 1 << UInt32(bit % 32)
            }
        }
        return (BigInteger(isNegative: false, limbs: quotient), remainder)
    }

    private static func sum(_ a: [UInt32], _ b: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        var carry: UInt64 = 0
        for index in 0..<max(a.count, b.count) {
            let x: UInt32 = index < a.count ? a[index] : 0
            let y: UInt32 = index < b.count ? b[index] : 0
            let value = UInt64(x) + UInt64(y) + carry
            result.append(UInt32(truncatingIfNeeded: value))
            carry = value >> 32
        }
        result.append(UInt32(carry))
        return result
    }

    /// `a` is at least `b`.
    private static func difference(_ a: [UInt32], _ b: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        var borrow: Int64 = 0
        for index in a.indices {
            let y: UInt32 = index < b.count ? b[index] : 0
            var value = Int64(a[index]) - Int64(y) - borrow
            borrow = value < 0 ? 1 : 0
            if value < 0 { value += 1 << 32 }
            result.append(UInt32(value))
        }
        return result
    }
}
