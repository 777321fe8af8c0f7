/// Blocks of 32 numbers as int8 with an F16 scale, as llama.cpp's converter rounds them (gguf-py `quants.py`, `Q8_0`): halves away
/// from zero, and the codes by the scale before it is rounded itself.
package enum Q8Encoding {
    package static let length = 32
    package static let byteCount = 34

    /// - Parameter count: a multiple of 32.
    /// - Returns: whether all scales are finite numbers.
    package static func encode(
        _ values: UnsafePointer<Float>, count: Int, into out: UnsafeMutableRawPointer
    ) -> Bool {
        var isFinite = true
        for block in 0..<count / length {
            let (source, target) = (values + block * length, out + block * byteCount)
            var peak: Float = 0
            for index in 0..<length {
                let magnitude = abs(source[index])
                // Also false where it is none.
                peak = magnitude <= peak ? peak : magnitude
            }
            let scale = peak / 127
            let half = FloatEncoding.half(scale)
            isFinite = isFinite && half < 0x7C00 && peak.isFinite
            target.storeBytes(of: half, as: UInt16.self)
            let inverse = scale == 0 || !scale.isFinite ? 0 : 1 / scale
            for index in 0..<length {
                let code = (source[index] * inverse).rounded(.toNearestOrAwayFromZero)
                target.storeBytes(
                    of: code.isFinite ? Int8(max(-127, min(127, code))) : 0, toByteOffset: 2 + index,
                    as: Int8.self)
            }
        }
        return isFinite
    }
}
