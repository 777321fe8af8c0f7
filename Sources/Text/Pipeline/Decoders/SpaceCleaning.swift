/// What SentencePiece does to white space before a text is cut.
enum SpaceCleaning: Sendable {
    /// Control characters go; what else separates words becomes a space.
    case nmt
    /// Runs of spaces become one, and those at the end of a text none: `remove_extra_whitespaces`.
    case collapse

    func apply(_ text: [UInt8]) -> [UInt8] {
        switch self {
        case .nmt: Self.separate(text)
        case .collapse: Self.collapse(text)
        }
    }

    /// Source: SentencePiece's rules `nmt`, as in the `tokenizers` library's `Nmt`.
    private static func separate(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let (value, length) = UTF8Bytes.scalar(in: text, at: index)
            switch value {
            case 0x1...0x8, 0xB, 0xE...0x1F, 0x7F, 0x8F, 0x9F: break
            case 0x9, 0xA, 0xC, 0xD, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD:
                output.append(UInt8(ascii: " "))
            default: output.append(contentsOf: text[index..<index + length])
            }
            index += length
        }
        return output
    }

    private static func collapse(_ text: [UInt8]) -> [UInt8] {
        let space = UInt8(ascii: " ")
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        for byte in text where byte != space || output.last != space { output.append(byte) }
        if output.last == space { output.removeLast() }
        return output
    }
}
