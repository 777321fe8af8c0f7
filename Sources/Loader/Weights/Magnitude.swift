/// The largest magnitude of a block, the scale that every bitsandbytes format starts from.
enum Magnitude {
    /// NaN if any value is not finite: weights decoded with such a scale then show in the logits, where they are
    /// refused, instead of being served as something else.
    static func largest(_ values: UnsafePointer<Float>, count: Int) -> Float {
        var largest: UInt32 = 0
        for index in 0..<count { largest = max(largest, values[index].bitPattern & 0x7FFF_FFFF) }
        return largest < Float.infinity.bitPattern ? Float(bitPattern: largest) : .nan
    }
}
