/// GPT-2's printable stand-ins for all 256 bytes: 33–126, 161–172 and 174–255 stand for themselves, the other 68
/// are the scalars from U+0100 on.
enum ByteAlphabet {
    /// By byte: its stand-in as UTF-8.
    static let spellings: [[UInt8]] = scalars.map { Array(String(Character($0)).utf8) }

    /// By scalar value below `bytes.count`: the byte it stands for, or -1.
    static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: 0x100 + 68)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = Int16(byte) }
        return bytes
    }()

    private static let scalars: [Unicode.Scalar] = {
        var next: UInt8 = 0
        return (UInt8.min...UInt8.max).map { byte in
            switch byte {
            case 33...126, 161...172, 174...255: return Unicode.Scalar(byte)
            default:
                next += 1
                return Unicode.Scalar(UInt8(next - 1)).shifted
            }
        }
    }()

    /// Appends the bytes that a token's characters stand for, or answers false, having appended nothing, if one
    /// of them stands for none.
    static func decode(_ token: ArraySlice<UInt8>, into text: inout [UInt8]) -> Bool {
        let start = text.count
        var index = token.startIndex
        while index < token.endIndex {
            let lead = token[index]
            let length = UTF8Bytes.length(lead: lead)
            var value = Int(lead)
            if length == 2, index + 1 < token.endIndex {
                value = Int(lead & 0x1F) << 6 | Int(token[index + 1] & 0x3F)
            }
            guard length <= 2, value < bytes.count, bytes[value] >= 0 else {
                text.removeSubrange(start...)
                return false
            }
            text.append(UInt8(truncatingIfNeeded: bytes[value]))
            index += length
        }
        return true
    }
}

extension Unicode.Scalar {
    /// The scalar 256 further on.
    fileprivate var shifted: Unicode.Scalar { Unicode.Scalar(value + 0x100) ?? self }
}
