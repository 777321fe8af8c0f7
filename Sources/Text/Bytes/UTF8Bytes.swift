/// UTF-8 by hand: text is kept as bytes, so that nothing is compared by canonical equivalence or cut at the
/// boundaries of `Character`.
enum UTF8Bytes {
    /// U+FFFD.
    static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    /// What stands at the start of some bytes.
    enum Unit: Equatable {
        /// A well-formed scalar of so many bytes.
        case scalar(Int)
        /// A maximal ill-formed subpart of so many bytes: what a lossy decoder replaces by one U+FFFD.
        case invalid(Int)
        /// All remaining bytes are the start of a scalar that may yet be completed.
        case incomplete
    }

    /// The unit at `index`, which must be below `end`.
    static func unit(in bytes: [UInt8], at index: Int, end: Int) -> Unit {
        let lead = bytes[index]
        if lead < 0x80 { return .scalar(1) }
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        case 0xF1...0xF3: length = 4
        default: return .invalid(1)
        }
        for step in 1..<length {
            guard index + step < end else { return .incomplete }
            let allowed = step == 1 ? second : 0x80...0xBF
            guard allowed.contains(bytes[index + step]) else { return .invalid(step) }
        }
        return .scalar(length)
    }

    /// The offset of the first byte that is not part of well-formed UTF-8, or nil.
    static func firstFlaw(in bytes: [UInt8]) -> Int? {
        var index = 0
        while index < bytes.count {
            if bytes[index] < 0x80 {
                index += 1
            } else if case .scalar(let length) = unit(in: bytes, at: index, end: bytes.count) {
                index += length
            } else {
                return index
            }
        }
        return nil
    }

    /// The length that the lead byte of well-formed text announces.
    static func length(lead: UInt8) -> Int {
        lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    }

    /// The scalar value at `index` of well-formed text, and its length in bytes.
    static func scalar(in bytes: [UInt8], at index: Int) -> (value: UInt32, length: Int) {
        let lead = bytes[index]
        if lead < 0x80 { return (UInt32(lead), 1) }
        func tail(_ step: Int) -> UInt32 { UInt32(bytes[index + step] & 0x3F) }
        if lead < 0xE0 { return (UInt32(lead & 0x1F) << 6 | tail(1), 2) }
        if lead < 0xF0 { return (UInt32(lead & 0x0F) << 12 | tail(1) << 6 | tail(2), 3) }
        return (UInt32(lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4)
    }

    /// The start of the scalar that ends before `index`, which must be above 0.
    static func start(before index: Int, in bytes: [UInt8]) -> Int {
        var start = index - 1
        while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }
}
