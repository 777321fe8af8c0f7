import DoraExport
import DoraTensor
import Testing

/// F32 to the types of files, rounded as IEEE 754 and PyTorch do.
@Suite struct FloatEncodingTests {
    /// All magnitudes: every F16, and what lies beside and between two neighbours.
    @Test func halvesAreRoundedToNearestEven() {
        for bits in UInt16(0)..<0x7C00 {
            let low = Float(Float16(bitPattern: bits))
            let high = bits == 0x7BFF ? 65536 : Float(Float16(bitPattern: bits + 1))
            for value in [
                low, low.nextUp, (low + high) / 2, ((low + high) / 2).nextUp, ((low + high) / 2).nextDown,
            ] {
                for signed in [value, -value] {
                    #expect(FloatEncoding.half(signed) == Float16(signed).bitPattern, "\(signed)")
                }
            }
        }
        for value in [Float.infinity, -.infinity, 65504, 65519.99, 65520, 1e30, .leastNonzeroMagnitude] {
            #expect(FloatEncoding.half(value) == Float16(value).bitPattern, "\(value)")
        }
        #expect(Float16(bitPattern: FloatEncoding.half(.nan)).isNaN)
    }

    @Test func bfloatsAreRoundedToNearestEven() {
        #expect(FloatEncoding.bfloat(1) == 0x3F80)
        // Halfway, to the even one on either side; then just above and below.
        #expect(FloatEncoding.bfloat(Float(bitPattern: 0x3F80_8000)) == 0x3F80)
        #expect(FloatEncoding.bfloat(Float(bitPattern: 0x3F81_8000)) == 0x3F82)
        #expect(FloatEncoding.bfloat(Float(bitPattern: 0x3F80_8001)) == 0x3F81)
        #expect(FloatEncoding.bfloat(Float(bitPattern: 0xBF81_7FFF)) == 0xBF81)
        #expect(FloatEncoding.bfloat(.greatestFiniteMagnitude) == 0x7F80)
        #expect(Float(bitPattern: UInt32(FloatEncoding.bfloat(.nan)) << 16).isNaN)
    }

    @Test(arguments: [(ElementType.f32, Float.infinity), (.bf16, 3.4e38), (.f16, 65520)])
    func whatIsNoNumberOfTheTypeIsSaid(type: ElementType, value: Float) {
        var bytes = [UInt8](repeating: 0, count: 12)
        for values in [[Float](repeating: 1, count: 3), [1, value, 2]] {
            let isFinite = bytes.withUnsafeMutableBytes { bytes in
                bytes.baseAddress.map { FloatEncoding.encode(values, count: 3, as: type, into: $0) }
            }
            #expect(isFinite == (values[1] == 1))
        }
    }
}
