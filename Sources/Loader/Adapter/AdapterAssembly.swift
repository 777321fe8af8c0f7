/// Turns an adapter's checked tensors into its parts, and refuses what is incomplete or does not fit.
struct AdapterAssembly {
    let configuration: AdapterConfiguration
    let matching: ModuleMatching
    let tensors: AdapterTensors
    /// With as many tokens as the adapter was trained on.
    let inventory: ModuleInventory
    let baseVocabularySize: Int

    /// The updates of all modules, which are exactly those that the configuration targets.
    func updates() throws(LoadError) -> [String: any WeightUpdate] {
        var updates: [String: any WeightUpdate] = [:]
        for module in inventory.modules {
            let isTargeted = isTargeted(module)
            let isAdapted = tensors.isAdapted(module.name)
            let first: AdapterKey.Part = module.kind == .embedding ? .embeddingA : .a
            if isAdapted && !isTargeted {
                throw error(
                    .mismatch, module, first,
                    "the file adapts this module, but adapter_config.json does not target it",
                    advice: "use the configuration that was saved with the weights")
            }
            if isTargeted && !isAdapted {
                throw error(
                    .missing, module, first,
                    "adapter_config.json targets this module, but the file holds nothing for it",
                    advice: "save the adapter again; the file may come from a partial save")
            }
            if isTargeted { updates[module.name] = try update(module) }
        }
        guard !updates.isEmpty || !configuration.savedModules.isEmpty || !configuration.tokens.isEmpty else {
            throw LoadError(
                .mismatch, file: configuration.file, field: "target_modules",
                "it targets no module of the base",
                advice: "serve the adapter with the base on which it was trained")
        }
        return updates
    }

    /// PEFT's rules, and its `ensure_weight_tying`: the other side of a tied pair is adapted along.
    private func isTargeted(_ module: ModuleInventory.Module) -> Bool {
        if module.kind == .norm { return false }
        if matching.targets(module.name) { return true }
        guard configuration.keepsEmbeddingsTied, inventory.tiesWordEmbeddings else { return false }
        switch module.name {
        case ModuleInventory.head: return matching.targets(ModuleInventory.embedding)
        case ModuleInventory.embedding: return matching.targets(ModuleInventory.head)
        default: return false
        }
    }

    private func update(_ module: ModuleInventory.Module) throws(LoadError) -> LowRankUpdate {
        let isEmbedding = module.kind == .embedding
        let rank = matching.rank(of: module.name)
        if let weight = tensors[module.name, .weight] {
            throw LoadError(
                .mismatch, file: weight.file, field: weight.name,
                "the module has both a full weight and low-rank factors", advice: "keep one of them")
        }
        for part: AdapterKey.Part in isEmbedding ? [.a, .b, .bBias] : [.embeddingA, .embeddingB] {
            if let tensor = tensors[module.name, part] {
                throw LoadError(
                    .mismatch, file: tensor.file, field: tensor.name,
                    "factors of \(isEmbedding ? "a linear layer" : "an embedding") for \(module.name), which is none",
                    advice: "serve the adapter with the base on which it was trained")
            }
        }
        let a = try factor(isEmbedding ? .embeddingA : .a, of: module)
        let b = try factor(isEmbedding ? .embeddingB : .b, of: module)
        try checkRank(a, rank, module)
        return LowRankUpdate(
            rank: rank, scaling: matching.scaling(of: module.name),
            a: try Self.numbers(a, shape: [rank, module.inputs]),
            b: try Self.numbers(b, shape: [module.outputs, rank]),
            magnitude: try magnitude(of: module), outputBias: try outputBias(of: module))
    }

    private func factor(
        _ part: AdapterKey.Part, of module: ModuleInventory.Module
    ) throws(LoadError) -> TensorView {
        guard let tensor = tensors[module.name, part] else {
            throw error(
                .missing, module, part, "the file holds no such tensor, though it adapts the module",
                advice: "save the adapter again")
        }
        guard tensor.shape.count == 2, tensor.count > 0 else {
            throw LoadError(
                .malformed, file: tensor.file, field: tensor.name, expected: "a matrix",
                found: TensorShape.describe(tensor.shape),
                advice: "gather sharded parameters (ZeRO-3, FSDP) before saving")
        }
        return tensor
    }

    private func checkRank(
        _ a: TensorView, _ rank: Int, _ module: ModuleInventory.Module
    ) throws(LoadError) {
        guard let found = a.shape.first, found == rank else {
            throw LoadError(
                .mismatch, file: a.file, field: a.name,
                expected: "rank \(rank), as \(configuration.file) says for \(module.name)",
                found: TensorShape.describe(a.shape),
                advice: "use the configuration that was saved with the weights")
        }
    }

    private func magnitude(of module: ModuleInventory.Module) throws(LoadError) -> [Float]? {
        let tensor = tensors[module.name, .magnitude]
        switch (configuration.usesDoRA, tensor) {
        case (false, nil): return nil
        case (false, .some(let tensor)):
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name,
                "a DoRA magnitude, though use_dora is false in \(configuration.file)",
                advice: "set use_dora to true if the adapter was trained with it")
        case (true, nil):
            throw error(
                .missing, module, .magnitude,
                "use_dora is true, but the file holds no magnitudes for the module",
                advice: "export the adapter again with its magnitudes")
        case (true, .some(let tensor)):
            let count = module.outputs
            let shapes = [[count], [count, 1], [1, count]]
            return try Self.numbers(tensor, shape: shapes.contains(tensor.shape) ? tensor.shape : [count])
        }
    }

    private func outputBias(of module: ModuleInventory.Module) throws(LoadError) -> [Float]? {
        guard let tensor = tensors[module.name, .bBias] else {
            guard configuration.hasFactorBias, module.kind == .linear else { return nil }
            throw error(
                .missing, module, .bBias,
                "lora_bias is true, but the file holds no such tensor", advice: "save the adapter again")
        }
        guard configuration.hasFactorBias else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name,
                "a factor's bias, though lora_bias is false in \(configuration.file)",
                advice: "use the configuration that was saved with the weights")
        }
        return try Self.numbers(tensor, shape: [module.outputs])
    }
}

extension AdapterAssembly {
    /// The tensor's elements, which must be finite and of that shape.
    static func numbers(_ tensor: TensorView, shape: [Int]) throws(LoadError) -> [Float] {
        guard tensor.shape == shape else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name, expected: TensorShape.describe(shape),
                found: TensorShape.describe(tensor.shape),
                advice: "serve the adapter with the base on which it was trained")
        }
        let floats = try tensor.floats()
        tensor.dropPages()
        guard floats.allSatisfy(\.isFinite) else { throw notFinite(tensor) }
        return floats
    }

    static func notFinite(_ tensor: TensorView) -> LoadError {
        LoadError(
            .malformed, file: tensor.file, field: tensor.name, "it holds infinities or NaN",
            advice: "the training diverged or the file is damaged; use another checkpoint of the adapter")
    }

    func error(
        _ code: LoadError.Code, _ module: ModuleInventory.Module, _ part: AdapterKey.Part, _ problem: String,
        advice: String
    ) -> LoadError {
        LoadError(
            code, file: tensors.path, field: "\(module.name).\(part.spelling)", problem, advice: advice)
    }
}

extension AdapterKey.Part {
    /// As PEFT writes it behind the module's name.
    var spelling: String {
        switch self {
        case .a: "lora_A.weight"
        case .b: "lora_B.weight"
        case .bBias: "lora_B.bias"
        case .embeddingA: "lora_embedding_A"
        case .embeddingB: "lora_embedding_B"
        case .magnitude: "lora_magnitude_vector"
        case .weight: "weight"
        case .bias: "bias"
        case .baseWeight: "base_layer.weight"
        case .baseBias: "base_layer.bias"
        case .tokenRows: "token_adapter.trainable_tokens_delta"
        case .original: "original_module.weight"
        }
    }
}
