package import DoraTensor

/// F32 numbers as bytes of a file's type, rounded to the nearest, ties to even, as PyTorch does.
package enum FloatEncoding {
    /// - Parameter out: room for `count` elements at any alignment.
    /// - Returns: whether all are finite numbers of the type.
    /// - Precondition: the type is F32, F16 or BF16.
    package static func encode(
        _ values: UnsafePointer<Float>, count: Int, as type: ElementType, into out: UnsafeMutableRawPointer
    ) -> Bool {
        // Each is the largest exponent that was met; one loop a type, without branches.
        var peak: UInt32 = 0
        switch type {
        case .f32:
            for index in 0..<count {
                peak = max(peak, values[index].bitPattern & 0x7FFF_FFFF)
                out.storeBytes(of: values[index].bitPattern, toByteOffset: 4 &* index, as: UInt32.self)
            }
            return peak < 0x7F80_0000
        case .bf16:
            for index in 0..<count {
                let half = bfloat(values[index])
                peak = max(peak, UInt32(half & 0x7FFF))
                out.storeBytes(of: half, toByteOffset: 2 &* index, as: UInt16.self)
            }
            return peak < 0x7F80
        case .f16:
            for index in 0..<count {
                let half = half(values[index])
                peak = max(peak, UInt32(half & 0x7FFF))
                out.storeBytes(of: half, toByteOffset: 2 &* index, as: UInt16.self)
            }
            return peak < 0x7C00
        default: preconditionFailure("no type of exports")
        }
    }

    /// The upper half of the bits, rounded; NaN stays NaN.
    @inline(__always)
    package static func bfloat(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let rounded = (bits &+ 0x7FFF &+ (bits &>> 16 & 1)) &>> 16
        let isNaN = bits & 0x7FFF_FFFF > 0x7F80_0000
        return UInt16(truncatingIfNeeded: isNaN ? bits &>> 16 | 0x40 : rounded)
    }

    /// IEEE binary16 by integers alone: the processors that we build for by default convert halves in a library call each.
    @inline(__always)
    package static func half(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let magnitude = bits & 0x7FFF_FFFF
        let sign = UInt16(truncatingIfNeeded: bits &>> 16 & 0x8000)
        // Normal: the exponent's bias falls by 112, and 13 bits of the fraction are rounded away.
        let normal = (magnitude &- 112 &<< 23 &+ 0xFFF &+ (magnitude &>> 13 & 1)) &>> 13
        // Subnormal: adding 0.5 leaves the fraction, rounded by the addition itself, in the lowest bits.
        let small = (Float(bitPattern: magnitude) + 0.5).bitPattern &- Float(0.5).bitPattern
        let finite = magnitude < 113 &<< 23 ? small : min(normal, 0x7C00)
        let result = magnitude > 0x7F80_0000 ? 0x7E00 : magnitude >= 0x7F80_0000 ? 0x7C00 : finite
        return sign | UInt16(truncatingIfNeeded: result)
    }
}
