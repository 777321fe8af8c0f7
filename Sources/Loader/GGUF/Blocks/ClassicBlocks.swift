/// Blocks of 32 weights with one scale, and in the formats `_1` one minimum, in F16.
///
/// Source: gguf-py `quants.py`.
extension BlockFormat {
    static let q8_0 = BlockFormat("Q8_0", id: 8, length: 32, bytes: 34, codes: .q8_0) { block, out in
        let scale = half(block, 0)
        for index in 0..<32 { out[index] = Float(Int8(bitPattern: block[2 + index])) * scale }
    }

    static let q4_0 = BlockFormat("Q4_0", id: 2, length: 32, bytes: 18, codes: .q4_0) { block, out in
        let scale = half(block, 0)
        for index in 0..<16 {
            out[index] = scale * Float(Int(block[2 + index] & 15) - 8)
            out[index + 16] = scale * Float(Int(block[2 + index] >> 4) - 8)
        }
    }

    static let q4_1 = BlockFormat("Q4_1", id: 3, length: 32, bytes: 20, codes: .q4_1) { block, out in
        let (scale, minimum) = (half(block, 0), half(block, 2))
        for index in 0..<16 {
            out[index] = scale * Float(block[4 + index] & 15) + minimum
            out[index + 16] = scale * Float(block[4 + index] >> 4) + minimum
        }
    }

    static let q5_0 = BlockFormat("Q5_0", id: 6, length: 32, bytes: 22, codes: .q5_0) { block, out in
        let scale = half(block, 0)
        withFiveBits(block + 6, high: block + 2) { codes in
            for index in 0..<32 { out[index] = scale * Float(Int32(codes[index]) - 16) }
        }
    }

    static let q5_1 = BlockFormat("Q5_1", id: 7, length: 32, bytes: 24) { block, out in
        let (scale, minimum) = (half(block, 0), half(block, 2))
        withFiveBits(block + 8, high: block + 4) { codes in
            for index in 0..<32 { out[index] = scale * Float(codes[index]) + minimum }
        }
    }

    /// Calls `body` with 32 codes: sixteen bytes of four bits each, the lower ones first, and a word of fifth bits.
    @inline(__always)
    static func withFiveBits(
        _ low: UnsafePointer<UInt8>, high: UnsafePointer<UInt8>, _ body: (UnsafePointer<UInt8>) -> Void
    ) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { memory in
            guard let start = memory.baseAddress else { return }
            let codes = start.bindMemory(to: UInt8.self, capacity: 32)
            for part in 0..<4 {
                start.storeBytes(of: spread(high[part]), toByteOffset: 8 * part, as: UInt64.self)
            }
            for index in 0..<16 {
                codes[index] |= low[index] & 15
                codes[index + 16] |= low[index] >> 4
            }
            body(codes)
        }
    }

    /// Eight bytes, 16 where the bit is set.
    @inline(__always)
    private static func spread(_ bits: UInt8) -> UInt64 {
        let apart = UInt64(bits) &* 0x0101_0101_0101_0101 & 0x8040_2010_0804_0201
        return ((apart &+ 0x7F7F_7F7F_7F7F_7F7F) & 0x8080_8080_8080_8080) &>> 3
    }

    @inline(__always)
    static func half(_ block: UnsafePointer<UInt8>, _ offset: Int) -> Float {
        FloatConversion.half(UnsafeRawPointer(block + offset).loadUnaligned(as: UInt16.self))
    }
}
