/// SentencePiece's `precompiled_charsmap`, as the `Precompiled` normalizer applies it: a double array (Darts) of what is
/// replaced, then the replacements, each ended by a zero byte.
///
/// The `tokenizers` library asks for whole grapheme clusters of up to five bytes first, and takes the shortest key that
/// one begins with for all of it; else for its scalars one by one. SentencePiece itself would take the longest key.
struct CharacterMap: Sendable {
    private let units: [UInt32]
    private let replacements: [UInt8]

    init(_ component: JSONComponent) throws(LoadError) {
        let key = "precompiled_charsmap"
        guard let bytes = Base64.decode(try component.bytes(key)), bytes.count >= 4 else {
            throw component.error(.malformed, key, expected: "a character map in Base64")
        }
        let size = bytes.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard size % 4 == 0, size > 0, size <= bytes.count - 4 else {
            throw component.error(
                .malformed, key, expected: "a double array of at most \(bytes.count - 4) bytes")
        }
        units = stride(from: 4, to: 4 + size, by: 4).map { start in
            bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
        replacements = Array(bytes[(4 + size)...])
        guard UTF8Bytes.firstFlaw(in: replacements) == nil else {
            throw component.error(.malformed, key, expected: "replacements in UTF-8")
        }
    }

    func apply(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        for cluster in String(decoding: text, as: UTF8.self) {
            let bytes = Array(cluster.utf8)
            if bytes.count < 6, let replacement = replacement(for: bytes[...]) {
                output.append(contentsOf: replacement)
                continue
            }
            var index = 0
            while index < bytes.count {
                let scalar = bytes[index..<min(bytes.count, index + UTF8Bytes.length(lead: bytes[index]))]
                output.append(contentsOf: replacement(for: scalar) ?? scalar)
                index = scalar.endIndex
            }
        }
        return output
    }

    /// The replacement of the shortest key that `text` begins with.
    private func replacement(for text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var position = Self.offset(units[0])
        for byte in text {
            if byte == 0 { return nil }
            position ^= Int(byte)
            guard position < units.count else { return nil }
            let unit = units[position]
            // The highest bit marks a value, which is no label.
            guard unit & 0x8000_00FF == UInt32(byte) else { return nil }
            position ^= Self.offset(unit)
            guard unit >> 8 & 1 == 1 else { continue }
            guard position < units.count else { return nil }
            let start = Int(units[position] & 0x7FFF_FFFF)
            guard start < replacements.count else { return nil }
            return replacements[start...].prefix { $0 != 0 }
        }
        return nil
    }

    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 0x200) >> 6) }
}

/// RFC 4648, with padding.
enum Base64 {
    static func decode(_ text: [UInt8]) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        let padding = text.suffix(2).count { $0 == UInt8(ascii: "=") }
        var bits: UInt32 = 0
        for (index, character) in text.dropLast(padding).enumerated() {
            guard let digit = digit(character) else { return nil }
            bits = bits << 6 | digit
            if index % 4 > 0 { bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(6 - index % 4 * 2))) }
        }
        return bytes
    }

    private static func digit(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
