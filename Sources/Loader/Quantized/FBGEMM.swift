import DoraTensor
import DoraText

/// FP8 as transformers writes it with FBGEMM's kernels: E4M3 with a scale for each row.
///
/// V = weight * scale in F32. Source: transformers `integrations/fbgemm_fp8.py`.
struct FBGEMM: CheckpointFormat {
    static let method = "fbgemm_fp8"
    static let parts = ["weight_scale", "input_scale_ub"]

    init(_ fields: JSONFields) throws(LoadError) {
        try fields.refuseOthers(than: ["quant_method", "activation_scale_ub", "modules_to_not_convert"])
    }

    func weights(_ tensors: ModuleTensors) throws(LoadError) -> (any WeightSource)? {
        guard let weight = tensors["weight"] else { return nil }
        let scales = tensors["weight_scale"]
        guard weight.elementType == .f8e4m3 || scales != nil else { return nil }
        guard let scales else { return try tensors.scaleless() }
        return try ScaledFloatWeights(
            weight, scales: scales, block: .init(rows: 1, columns: max(1, tensors.columns)), in: tensors)
    }
}
