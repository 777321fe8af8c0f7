import DoraText

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
            let first = firstPart(of: module)
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
            if isTargeted {
                updates[module.name] = try configuration.method.update(of: module, in: self)
            }
        }
        guard !updates.isEmpty || !configuration.savedModules.isEmpty || !configuration.tokens.isEmpty else {
            throw LoadError(
                .mismatch, file: configuration.file, field: "target_modules",
                "it targets no module of the base",
                advice: "serve the adapter with the base on which it was trained")
        }
        return updates
    }

    /// What errors about a module's update name.
    private func firstPart(of module: ModuleInventory.Module) -> AdapterKey.Part {
        if let name = type(of: configuration.method).vocabulary.parameters.first { return .parameter(name) }
        if matching.scalesAlone(module.name) { return .magnitude }
        return module.kind == .embedding ? .embeddingA : .a
    }

    /// PEFT's rules, and its `ensure_weight_tying`: the other side of a tied pair is adapted along.
    private func isTargeted(_ module: ModuleInventory.Module) -> Bool {
        if module.kind == .norm { return false }
        if matching.targets(module.name) || matching.scalesAlone(module.name) { return true }
        guard configuration.keepsEmbeddingsTied, inventory.tiesWordEmbeddings else { return false }
        switch module.name {
        case ModuleInventory.head: return matching.targets(ModuleInventory.embedding)
        case ModuleInventory.embedding: return matching.targets(ModuleInventory.head)
        default: return false
        }
    }
}

extension AdapterAssembly {
    /// The tensor's elements, which must be finite and of that shape.
    static func numbers(_ tensor: TensorView, shape: [Int]) throws(LoadError) -> [Float] {
        guard tensor.count > 0 else { throw sharded(tensor) }
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

    /// What is left of a tensor that other processes held when it was saved.
    static func sharded(_ tensor: TensorView) -> LoadError {
        LoadError(
            .malformed, file: tensor.file, field: tensor.name,
            expected: tensor.count == 0 ? "a tensor with elements" : "a matrix",
            found: TensorShape.describe(tensor.shape),
            advice: "gather sharded parameters (ZeRO-3, FSDP) before saving")
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
        case .parameter(let name): name
        }
    }
}
