import DoraTensor

/// The conversions of stored float formats to F32, one tight loop each.
enum FloatConversion {
    /// Converts `count` little-endian elements at any alignment.
    /// - Precondition: both pointers have room for `count` elements; `type` is a float type.
    static func convert(
        _ source: UnsafeRawPointer, _ type: ElementType, count: Int, into target: UnsafeMutablePointer<Float>
    ) {
        switch type {
        case .f32:
            UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: count * 4)
        case .f64:
            for index in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self)
                target[index] = Float(Double(bitPattern: bits))
            }
        case .bf16:
            for index in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self)
                target[index] = Float(bitPattern: UInt32(bits) &<< 16)
            }
        case .f16:
            for index in 0..<count {
                target[index] = half(source.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self))
            }
        case .f8e5m2:
            for index in 0..<count {
                target[index] = half(UInt16(source.load(fromByteOffset: index, as: UInt8.self)) &<< 8)
            }
        case .f8e8m0:
            for index in 0..<count {
                target[index] = e8m0(source.load(fromByteOffset: index, as: UInt8.self))
            }
        case .f8e4m3:
            withE4M3Table { table in
                for index in 0..<count {
                    target[index] = table[Int(source.load(fromByteOffset: index, as: UInt8.self))]
                }
            }
        case .i64, .i32, .i16, .i8, .u8, .bool:
            preconditionFailure("integers are not converted to floats")
        }
    }

    /// IEEE binary16 without branches, so that the loop around it can be vectorized: the processors that we
    /// build for by default convert halves in a library call each.
    @inline(__always)
    static func half(_ bits: UInt16) -> Float {
        let magnitude = UInt32(bits & 0x7FFF) &<< 13
        let sign = UInt32(bits & 0x8000) &<< 16
        // Normal: the exponent's bias grows by 112.
        let normal = magnitude &+ (112 &<< 23)
        // Subnormal: the fraction is put behind an implicit one of weight 2^-14, which is then taken off.
        let small = (Float(bitPattern: magnitude &+ (113 &<< 23)) - 0x1p-14).bitPattern
        let finite = magnitude < 1 &<< 23 ? small : normal
        let value = magnitude >= 31 &<< 23 ? magnitude | 0x7F80_0000 : finite
        return Float(bitPattern: value | sign)
    }

    /// E4M3FN: sign, 4 bits of exponent with bias 7, 3 of fraction; no infinities; 0x7F and 0xFF are NaN.
    static func e4m3(_ bits: UInt8) -> Float {
        let fraction = Float(bits & 7)
        let exponent = Int(bits >> 3 & 15)
        let magnitude: Float =
            if bits & 0x7F == 0x7F {
                .nan
            } else if exponent == 0 {
                fraction * 0x1p-9
            } else {
                Float(sign: .plus, exponent: exponent - 7, significand: 1 + fraction / 8)
            }
        return bits & 0x80 == 0 ? magnitude : -magnitude
    }

    /// E8M0: an exponent with bias 127; 255 is NaN.
    static func e8m0(_ bits: UInt8) -> Float {
        bits == 255 ? .nan : Float(sign: .plus, exponent: Int(bits) - 127, significand: 1)
    }

    private static let e4m3Table = (0...255).map { e4m3(UInt8($0)) }

    private static func withE4M3Table(_ body: (UnsafeBufferPointer<Float>) -> Void) {
        e4m3Table.withUnsafeBufferPointer(body)
    }
}
