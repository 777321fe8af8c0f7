import DoraTensor

extension ElementType {
    /// What rounding to the type is to the kernels.
    var rounding: Compute.Rounding {
        switch self {
        case .bf16: .brain
        case .f16: .half
        default: .none
        }
    }

    /// Rounds to F16 or BF16; other types leave F32 as it is.
    func round(_ values: UnsafeMutablePointer<Float>, count: Int, on compute: Compute) {
        switch self {
        case .f16: compute.roundToHalf(values, count: count)
        case .bf16: for index in 0..<count { values[index] = values[index].roundedToBrain }
        default: break
        }
    }
}
