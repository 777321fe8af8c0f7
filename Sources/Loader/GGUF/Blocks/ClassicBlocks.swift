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

    static let q5_0 = BlockFormat("Q5_0", id: 6, length: 32, bytes: 22) { block, out in
        let scale = half(block, 0)
        let high = word(block, 2)
        for index in 0..<16 {
            let (low, up) = fifthBits(high, index)
            out[index] = scale * Float(Int(block[6 + index] & 15 | low) - 16)
            out[index + 16] = scale * Float(Int(block[6 + index] >> 4 | up) - 16)
        }
    }

    static let q5_1 = BlockFormat("Q5_1", id: 7, length: 32, bytes: 24) { block, out in
        let (scale, minimum) = (half(block, 0), half(block, 2))
        let high = word(block, 4)
        for index in 0..<16 {
            let (low, up) = fifthBits(high, index)
            out[index] = scale * Float(block[8 + index] & 15 | low) + minimum
            out[index + 16] = scale * Float(block[8 + index] >> 4 | up) + minimum
        }
    }

    /// The fifth bits of the weights `index` and `index + 16`, in their place.
    @inline(__always)
    private static func fifthBits(_ high: UInt32, _ index: Int) -> (low: UInt8, up: UInt8) {
        let shift = UInt32(index)
        return (
            UInt8(truncatingIfNeeded: (high &>> shift) &<< 4) & 16,
            UInt8(truncatingIfNeeded: high &>> (shift &+ 12)) & 16
        )
    }

    @inline(__always)
    static func half(_ block: UnsafePointer<UInt8>, _ offset: Int) -> Float {
        FloatConversion.half(UnsafeRawPointer(block + offset).loadUnaligned(as: UInt16.self))
    }

    @inline(__always)
    private static func word(_ block: UnsafePointer<UInt8>, _ offset: Int) -> UInt32 {
        UnsafeRawPointer(block + offset).loadUnaligned(as: UInt32.self)
    }
}
