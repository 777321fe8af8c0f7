/// Keys of the bytes that a terminal sends: UTF-8, control characters, escape sequences, bracketed paste.
struct KeyReader {
    private var bytes: [UInt8] = []
    /// What was pasted so far; nil outside of a paste.
    private var paste: [UInt8]?

    private static let pasteEnd = Array("\u{1B}[201~".utf8)

    /// Keys that are complete with these bytes.
    mutating func take(_ new: some Sequence<UInt8>) -> [LineEditor.Key] {
        bytes += new
        var keys: [LineEditor.Key] = []
        while let (key, count) = next() {
            bytes.removeFirst(count)
            if let key { keys.append(key) }
        }
        return keys
    }

    /// The next key and the bytes that it took; nil if it is not complete.
    private mutating func next() -> (LineEditor.Key?, Int)? {
        if let pasted = paste { return nextPasted(pasted) }
        guard let first = bytes.first else { return nil }
        switch first {
        case 0x1B: return escape()
        case 0x00..<0x20, 0x7F: return (Self.control(first), 1)
        default:
            let count = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1
            guard bytes.count >= count else { return nil }
            let text = String(validating: bytes.prefix(count), as: UTF8.self)
            return (text.map(LineEditor.Key.text), text == nil ? 1 : count)
        }
    }

    /// Up to the end of the paste, or as far as that can be told.
    private mutating func nextPasted(_ pasted: [UInt8]) -> (LineEditor.Key?, Int)? {
        if let end = bytes.firstRange(of: Self.pasteEnd) {
            paste = nil
            let text = String(decoding: pasted + bytes[..<end.lowerBound], as: UTF8.self)
            return (.pasted(text), end.upperBound)
        }
        let certain = bytes.count - Self.pasteEnd.count
        guard certain > 0 else { return nil }
        paste = pasted + bytes[..<certain]
        return (nil, certain)
    }

    private static func control(_ byte: UInt8) -> LineEditor.Key? {
        switch byte {
        case 0x01: .home
        case 0x02: .left
        case 0x03: .interrupt
        case 0x04: .endOfInput
        case 0x05: .end
        case 0x06: .right
        case 0x08, 0x7F: .backspace
        case 0x09: .text("\t")
        case 0x0A, 0x0D: .enter
        case 0x0B: .killToEnd
        case 0x0C: .redraw
        case 0x0E: .down
        case 0x10: .up
        case 0x15: .killToStart
        case 0x17: .killWord
        case 0x1A: .suspend
        default: nil
        }
    }

    /// `ESC [ parameters letter`, `ESC O letter`, or a key with Alt.
    private mutating func escape() -> (LineEditor.Key?, Int)? {
        guard bytes.count > 1 else { return nil }
        switch bytes[1] {
        case UInt8(ascii: "["):
            guard let end = bytes.dropFirst(2).firstIndex(where: { 0x40...0x7E ~= $0 }) else {
                // No terminal sends such a long one.
                return bytes.count > 32 ? (nil, bytes.count) : nil
            }
            let parameters = String(decoding: bytes[2..<end], as: UTF8.self)
            if bytes[end] == UInt8(ascii: "~"), parameters == "200" { paste = [] }
            return (Self.key(bytes[end], parameters), end + 1)
        case UInt8(ascii: "O"):
            guard bytes.count > 2 else { return nil }
            return (Self.key(bytes[2], ""), 3)
        case UInt8(ascii: "b"): return (.wordLeft, 2)
        case UInt8(ascii: "f"): return (.wordRight, 2)
        case 0x7F, 0x08: return (.killWord, 2)
        case UInt8(ascii: "\r"), UInt8(ascii: "\n"): return (.text("\n"), 2)
        default: return (nil, 1)
        }
    }

    private static func key(_ letter: UInt8, _ parameters: String) -> LineEditor.Key? {
        let isWord = parameters.hasSuffix(";5") || parameters.hasSuffix(";3")
        switch letter {
        case UInt8(ascii: "A"): return .up
        case UInt8(ascii: "B"): return .down
        case UInt8(ascii: "C"): return isWord ? .wordRight : .right
        case UInt8(ascii: "D"): return isWord ? .wordLeft : .left
        case UInt8(ascii: "H"): return .home
        case UInt8(ascii: "F"): return .end
        case UInt8(ascii: "~"):
            switch parameters {
            case "1", "7": return .home
            case "4", "8": return .end
            case "3": return .delete
            default: return nil
            }
        default: return nil
        }
    }
}
