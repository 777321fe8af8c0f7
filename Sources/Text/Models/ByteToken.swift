/// The tokens `<0x00>` … `<0xFF>` that stand for single bytes.
enum ByteToken {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// `<0xXX>`, in capitals as the reference writes it.
    static func spelling(_ byte: UInt8) -> [UInt8] {
        Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]] + Array(">".utf8)
    }

    /// The byte that a token stands for. Digits may be small when reading, and a plus sign may stand before a
    /// single one, since the reference reads them as any number.
    static func byte(_ token: some RandomAccessCollection<UInt8>) -> UInt8? {
        guard token.count == 6, token.starts(with: "<0x".utf8), token.last == UInt8(ascii: ">") else {
            return nil
        }
        let text = token.dropFirst(3).dropLast()
        guard let first = text.first, let last = text.last, let low = digit(last) else { return nil }
        if first == UInt8(ascii: "+") { return low }
        return digit(first).map { $0 << 4 | low }
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
