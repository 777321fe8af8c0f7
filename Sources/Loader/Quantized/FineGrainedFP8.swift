import DoraTensor
import DoraText

/// FP8 as DeepSeek, Qwen and AutoFP8 write it: E4M3 with a scale for each block of 128 by 128, for each row, or for the
/// whole matrix. Despite its name `weight_scale_inv` multiplies.
///
/// V = weight * scale in F32. Source: transformers `integrations/finegrained_fp8.py`, but for blocks at the edges, which
/// are as large as the configuration says.
struct FineGrainedFP8: CheckpointFormat {
    static let method = "fp8"
    static let parts = ["weight_scale_inv", "weight_scale", "input_scale", "activation_scale"]

    /// Nil: the file does not say.
    private let block: ScaledFloatWeights.Block?

    init(_ fields: JSONFields) throws(LoadError) {
        try fields.refuseOthers(than: Self.known)
        if let type = try fields.string("fmt"), type.lowercased() != "e4m3" {
            throw fields.unsupported("fmt", "\"\(type)\" is not supported", advice: "use e4m3")
        }
        if let scales = try fields.string("scale_fmt"), !["float", "ue8m0"].contains(scales) {
            throw fields.unsupported(
                "scale_fmt", "\"\(scales)\" is not supported", advice: "use float or ue8m0")
        }
        if let type = try fields.string("expert_dtype"), type != "fp8" {
            throw fields.unsupported("expert_dtype", "\"\(type)\" is not supported", advice: "use fp8")
        }
        guard let sizes = try fields.ints("weight_block_size", in: 1...ModelConfiguration.Limit.width) else {
            block = nil
            return
        }
        guard sizes.count == 2 else {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path("weight_block_size"),
                expected: "two sizes", found: "\(sizes)", advice: "correct the configuration")
        }
        block = ScaledFloatWeights.Block(rows: sizes[0], columns: sizes[1])
    }

    func weights(_ tensors: ModuleTensors) throws(LoadError) -> (any WeightSource)? {
        guard let weight = tensors["weight"] else { return nil }
        let scales = tensors["weight_scale_inv"] ?? tensors["weight_scale"]
        guard [.f8e4m3, .f8e5m2].contains(weight.elementType) || scales != nil else { return nil }
        guard let scales else { return try tensors.scaleless() }
        return try ScaledFloatWeights(
            weight, scales: scales, block: size(of: tensors, scales), in: tensors)
    }

    /// By the scales' shape, unless the configuration says that there are blocks.
    private func size(of tensors: ModuleTensors, _ scales: TensorView) -> ScaledFloatWeights.Block {
        let (rows, columns) = (max(1, tensors.rows), max(1, tensors.columns))
        if scales.count == 1 { return .init(rows: rows, columns: columns) }
        if let block { return block }
        if [[rows], [rows, 1]].contains(scales.shape) { return .init(rows: 1, columns: columns) }
        return .init(rows: 128, columns: 128)
    }

    private static let known: Set<String> = [
        "quant_method", "weight_block_size", "activation_scheme", "modules_to_not_convert", "ignored_layers",
        "fmt", "scale_fmt", "expert_dtype", "dequantize", "kv_cache_scheme", "ignore",
    ]
}

extension ModuleTensors {
    /// - Throws: that 8-bit floats have no scale.
    func scaleless() throws(LoadError) -> (any WeightSource)? {
        throw LoadError(
            .missing, file: checkpoint.folder, field: name("weight_scale"),
            "weights of 8 bits have no scale", advice: "check that all shards are there")
    }
}
