import DoraTensor

/// How the kernels keep blocks without loss: in which format, and where its codes and scales stand in consecutive blocks
/// of a row. A block type that has none is stored as Q8.
struct BlockCodes: Sendable {
    let format: MatrixFormat
    /// Reads `count` blocks: a byte for each code, in the order of the row, and the records of scales one after the other.
    let read:
        @Sendable (
            _ blocks: UnsafePointer<UInt8>, _ count: Int, _ codes: UnsafeMutablePointer<UInt8>,
            _ scales: UnsafeMutableRawPointer
        ) -> Void

    static let q8_0 = BlockCodes(format: .q8_0) { blocks, count, codes, scales in
        for block in 0..<count {
            let from = blocks + 34 * block
            copy(from, to: scales + 2 * block, as: UInt16.self)
            copy(from + 2, to: codes + 32 * block, as: SIMD32<UInt8>.self)
        }
    }

    /// Q5_0's numbers are an F16 times an integer, too.
    static let q5_0 = BlockCodes(format: .q8_0) { blocks, count, codes, scales in
        for block in 0..<count {
            let from = blocks + 22 * block
            copy(from, to: scales + 2 * block, as: UInt16.self)
            BlockFormat.withFiveBits(from + 6, high: from + 2) { numbers in
                for index in 0..<32 { codes[32 * block + index] = numbers[index] &- 16 }
            }
        }
    }

    /// So are IQ4_NL's.
    static let iq4_NL = BlockCodes(format: .q8_0) { blocks, count, codes, scales in
        for block in 0..<count {
            let from = blocks + 18 * block
            let target = codes + 32 * block
            copy(from, to: scales + 2 * block, as: UInt16.self)
            for index in 0..<16 {
                target[index] = UInt8(bitPattern: BlockFormat.level(of: from[2 + index] & 15))
                target[index + 16] = UInt8(bitPattern: BlockFormat.level(of: from[2 + index] >> 4))
            }
        }
    }

    static let q4_0 = BlockCodes(format: .affine(.scales)) { blocks, count, codes, scales in
        for block in 0..<count {
            let from = blocks + 18 * block
            copy(from, to: scales + 2 * block, as: UInt16.self)
            split(from + 2, count: 16, into: codes + 32 * block)
        }
    }

    static let q4_1 = BlockCodes(format: .affine(.minima)) { blocks, count, codes, scales in
        for block in 0..<count {
            let from = blocks + 20 * block
            copy(from, to: scales + 4 * block, as: UInt32.self)
            split(from + 4, count: 16, into: codes + 32 * block)
        }
    }

    static let q4_K = BlockCodes(format: .affine(.nested)) { blocks, count, codes, scales in
        for block in 0..<count {
            let from = blocks + 144 * block
            let record = scales + 20 * block
            copy(from, to: record, as: UInt32.self)
            let bytes = record.assumingMemoryBound(to: UInt8.self)
            for group in 0..<8 {
                let (scale, minimum) = BlockFormat.sixBits(from + 4, group)
                bytes[4 + group] = scale
                bytes[12 + group] = minimum
            }
            for pair in 0..<4 {
                split(from + 16 + 32 * pair, count: 32, into: codes + 256 * block + 64 * pair)
            }
        }
    }

    static let q6_K = BlockCodes(format: .q6_K) { blocks, count, codes, scales in
        for block in 0..<count {
            let from = blocks + 210 * block
            copy(from + 208, to: scales + 18 * block, as: UInt16.self)
            copy(from + 192, to: scales + 18 * block + 2, as: SIMD16<UInt8>.self)
            for group in 0..<16 {
                BlockFormat.sixBitCodes(from, group, into: codes + 256 * block + 16 * group)
            }
        }
    }

    /// Q3_K has the scales of Q6_K, with six bits, and half of its codes' bits: from -4 to 3, where those are from -32 to 31.
    static let q3_K = BlockCodes(format: .q6_K) { blocks, count, codes, scales in
        for block in 0..<count {
            let from = blocks + 110 * block
            let record = scales + 18 * block
            copy(from + 108, to: record, as: UInt16.self)
            for group in 0..<16 {
                record.storeBytes(
                    of: BlockFormat.threeBitScale(from, group), toByteOffset: 2 + group, as: Int8.self)
                let target = codes + 256 * block + 16 * group
                BlockFormat.threeBitCodes(from, group, into: target)
                for index in 0..<16 { target[index] &+= 28 }
            }
        }
    }

    /// Bytes as one value: a call of the library for each few would take longer than all else.
    @inline(__always)
    private static func copy<Value: BitwiseCopyable>(
        _ from: UnsafeRawPointer, to: UnsafeMutableRawPointer, as type: Value.Type
    ) {
        to.storeBytes(of: from.loadUnaligned(as: type), as: type)
    }

    /// The lower halves of `count` bytes, then the upper ones.
    @inline(__always)
    private static func split(
        _ bytes: UnsafePointer<UInt8>, count: Int, into codes: UnsafeMutablePointer<UInt8>
    ) {
        for index in 0..<count {
            codes[index] = bytes[index] & 15
            codes[count + index] = bytes[index] >> 4
        }
    }
}
