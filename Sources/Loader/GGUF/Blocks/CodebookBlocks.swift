/// Four-bit indices into sixteen values that lie closer around zero.
///
/// Source: gguf-py `quants.py`.
extension BlockFormat {
    static let iq4_NL = BlockFormat("IQ4_NL", id: 20, length: 32, bytes: 18, codes: .iq4_NL) { block, out in
        let scale = half(block, 0)
        for index in 0..<16 {
            out[index] = scale * Float(level(of: block[2 + index] & 15))
            out[index + 16] = scale * Float(level(of: block[2 + index] >> 4))
        }
    }

    static let iq4_XS = BlockFormat("IQ4_XS", id: 23, length: 256, bytes: 136) { block, out in
        let scale = half(block, 0)
        let highScales = UInt16(block[2]) | UInt16(block[3]) &<< 8
        for group in 0..<8 {
            let low = block[4 + group / 2] &>> UInt8(group % 2 * 4) & 15
            let high = UInt8(truncatingIfNeeded: highScales &>> UInt16(2 * group)) & 3
            let factor = scale * Float(Int(low | high << 4) - 32)
            let codes = block + 8 + 16 * group
            for index in 0..<16 {
                out[32 * group + index] = factor * Float(level(of: codes[index] & 15))
                out[32 * group + index + 16] = factor * Float(level(of: codes[index] >> 4))
            }
        }
    }

    private static let levels: [Int8] = [
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
    ]

    @inline(__always)
    static func level(of index: UInt8) -> Int8 { levels[Int(index)] }
}
