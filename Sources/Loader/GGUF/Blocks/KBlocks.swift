/// "K" blocks of 256 weights: an F16 scale for all, and small integers that multiply it for 16 or 32 weights each.
///
/// Source: gguf-py `quants.py`.
extension BlockFormat {
    static let q2_K = BlockFormat("Q2_K", id: 10, length: 256, bytes: 84) { block, out in
        let (scale, minimum) = (half(block, 80), half(block, 82))
        for group in 0..<16 {
            let factor = scale * Float(block[group] & 15)
            let shift = minimum * Float(block[group] >> 4)
            let (codes, bits) = twoBits(block + 16, group)
            for index in 0..<16 {
                out[16 * group + index] = factor * Float(codes[index] &>> bits & 3) - shift
            }
        }
    }

    static let q3_K = BlockFormat("Q3_K", id: 11, length: 256, bytes: 110, codes: .q3_K) { block, out in
        let scale = half(block, 108)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { memory in
            guard let codes = memory.baseAddress else { return }
            for group in 0..<16 {
                let factor = scale * Float(threeBitScale(block, group))
                threeBitCodes(block, group, into: codes)
                let target = out + 16 * group
                for index in 0..<16 { target[index] = factor * Float(Int32(codes[index]) - 4) }
            }
        }
    }

    /// What multiplies the scale of a Q3_K block for sixteen weights.
    @inline(__always)
    static func threeBitScale(_ block: UnsafePointer<UInt8>, _ group: Int) -> Int8 {
        let scales = block + 96
        let low = scales[group % 8] &>> UInt8(group / 8 * 4) & 15
        let high = scales[8 + group % 4] &>> UInt8(group / 4 * 2) & 3
        return Int8(low | high << 4) - 32
    }

    /// Sixteen codes of a Q3_K block, four more than what they stand for.
    @inline(__always)
    static func threeBitCodes(
        _ block: UnsafePointer<UInt8>, _ group: Int, into codes: UnsafeMutablePointer<UInt8>
    ) {
        let (low, bits) = twoBits(block + 32, group)
        let thirdBits = block + group % 2 * 16
        for index in 0..<16 {
            codes[index] = low[index] &>> bits & 3 | (thirdBits[index] &>> UInt8(group / 2) & 1) &<< 2
        }
    }

    static let q4_K = BlockFormat("Q4_K", id: 12, length: 256, bytes: 144, codes: .q4_K) { block, out in
        decodeGroups(block, into: out) { group, codes in
            let packed = block + 16 + group / 2 * 32
            let bits = UInt8(group % 2 * 4)
            for index in 0..<32 { codes[index] = packed[index] &>> bits & 15 }
        }
    }

    static let q5_K = BlockFormat("Q5_K", id: 13, length: 256, bytes: 176) { block, out in
        decodeGroups(block, into: out) { group, codes in
            let fifthBits = block + 16
            let packed = block + 48 + group / 2 * 32
            let bits = UInt8(group % 2 * 4)
            for index in 0..<32 {
                let high = (fifthBits[index] &>> UInt8(group) & 1) &<< 4
                codes[index] = packed[index] &>> bits & 15 | high
            }
        }
    }

    static let q6_K = BlockFormat("Q6_K", id: 14, length: 256, bytes: 210, codes: .q6_K) { block, out in
        let scale = half(block, 208)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { memory in
            guard let codes = memory.baseAddress else { return }
            for group in 0..<16 {
                let factor = scale * Float(Int8(bitPattern: block[192 + group]))
                sixBitCodes(block, group, into: codes)
                let target = out + 16 * group
                for index in 0..<16 { target[index] = factor * Float(Int32(codes[index]) - 32) }
            }
        }
    }

    /// Sixteen codes of a Q6_K block. A half of it has 128 weights: 64 bytes of low bits, 32 of high ones.
    @inline(__always)
    static func sixBitCodes(
        _ block: UnsafePointer<UInt8>, _ group: Int, into codes: UnsafeMutablePointer<UInt8>
    ) {
        let (side, part) = (group / 8, group % 8)
        let low = block + 64 * side + part % 4 * 16
        let lowBits = UInt8(part / 4 * 4)
        let high = block + 128 + 32 * side + part % 2 * 16
        let highBits = UInt8(part / 2 * 2)
        for index in 0..<16 {
            codes[index] = low[index] &>> lowBits & 15 | (high[index] &>> highBits & 3) &<< 4
        }
    }

    /// Where sixteen codes of two bits stand, and by how much they are shifted.
    @inline(__always)
    private static func twoBits(
        _ codes: UnsafePointer<UInt8>, _ group: Int
    ) -> (codes: UnsafePointer<UInt8>, bits: UInt8) {
        (codes + group / 8 * 32 + group % 2 * 16, UInt8(group % 8 / 2 * 2))
    }

    /// Eight groups of 32 weights: code * scale - minimum. Codes are taken apart first, sixteen bytes in a register, where
    /// floats would leave room for four.
    @inline(__always)
    private static func decodeGroups(
        _ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Float>,
        unpack: (_ group: Int, _ codes: UnsafeMutablePointer<UInt8>) -> Void
    ) {
        let (unit, step) = (half(block, 0), half(block, 2))
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { memory in
            guard let codes = memory.baseAddress else { return }
            for group in 0..<8 {
                let (scale, minimum) = sixBits(block + 4, group)
                let (factor, shift) = (unit * Float(scale), step * Float(minimum))
                unpack(group, codes)
                let target = out + 32 * group
                for index in 0..<32 { target[index] = factor * Float(codes[index]) - shift }
            }
        }
    }

    /// Six bits of each of eight scales and minima in twelve bytes, those of the last four groups in two parts.
    @inline(__always)
    static func sixBits(_ bytes: UnsafePointer<UInt8>, _ group: Int) -> (scale: UInt8, minimum: UInt8) {
        group < 4
            ? (bytes[group] & 63, bytes[group + 4] & 63)
            : (
                bytes[group + 4] & 15 | (bytes[group - 4] >> 6) << 4,
                bytes[group + 4] >> 4 | (bytes[group] >> 6) << 4
            )
    }
}
