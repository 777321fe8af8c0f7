import DoraText

/// LoRA and DoRA as PEFT saves them (`peft/tuners/lora`).
struct LoRA: AdapterMethod {
    static let vocabulary = MethodVocabulary(
        peftType: "LORA", title: "LoRA or DoRA",
        read: [
            "init_lora_weights", "r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern",
            "lora_bias", "ensure_weight_tying", "trainable_token_indices",
        ],
        harmless: [
            "lora_dropout", "runtime_config", "megatron_core", "qalora_group_size", "loftq_config",
            "eva_config",
            "corda_config", "lora_ga_config", "merge_weights",
        ],
        refused: [
            fanInFanOut,
            ("layer_replication", "models with repeated layers are not supported", "train without it"),
            ("target_parameters", "factors on bare parameters are not supported", "target modules instead"),
            (
                "alora_invocation_tokens",
                "an activated adapter changes within a sequence and cannot be merged",
                "train a plain LoRA or DoRA"
            ),
            ("use_qalora", "QA-LoRA's pooled inputs are not supported", "train a plain LoRA or DoRA"),
            (
                "arrow_config", "routing over several adapters is not supported",
                "serve the adapters by themselves"
            ),
            ("use_bdlora", "block-diagonal factors are not supported", "train a plain LoRA or DoRA"),
            ("kasa_config", "KaSA changes the base weights", "train a plain LoRA or DoRA"),
            ("monteclora_config", "Monte Carlo LoRA is not supported", "train a plain LoRA or DoRA"),
            ("velora_config", "VeLoRA is not supported", "train a plain LoRA or DoRA"),
            ("megatron_config", "Megatron layers are not supported", "export the adapter for transformers"),
            ("enable_lora", "fused projections exist in GPT-2 models only", "train without enable_lora"),
        ],
        defaultRank: 8, alpha: "lora_alpha")

    static let fanInFanOut = (
        key: "fan_in_fan_out", problem: "weights stored the other way round exist in GPT-2 models only",
        advice: "train with fan_in_fan_out=False"
    )

    private static let harmlessInitializations: Set<String> = ["gaussian", "orthogonal", "eva", "mica"]

    init() {}

    init(_ fields: JSONFields) throws(LoadError) { try Self.checkInitialization(fields) }

    /// Some initializations moved a part of the base weights into the factors: they fit that changed base only.
    private static func checkInitialization(_ fields: JSONFields) throws(LoadError) {
        let key = "init_lora_weights"
        guard let value = fields[key], value.bool == nil else { return }
        guard let name = value.string else {
            throw fields.mismatch(key, expected: "true, false or a string", value)
        }
        if harmlessInitializations.contains(name.lowercased()) { return }
        if name.lowercased() == "loftq" {
            throw fields.unsupported(
                key, "LoftQ trained the adapter on a base that it had quantized itself, not on the named one",
                advice:
                    "serve it on the base that was saved beside it (PEFT's quantize_save_load.py writes both),"
                    + " and set init_lora_weights to true")
        }
        throw fields.unsupported(
            key, "initialization \"\(name)\" changed the base weights during training",
            advice:
                "save the adapter with path_initial_model_for_weight_conversion, which makes it a plain one")
    }

    func update(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> any WeightUpdate {
        let tensors = assembly.tensors
        let isEmbedding = module.kind == .embedding
        let rank = assembly.matching.rank(of: module.name)
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
        let a = try Self.factor(isEmbedding ? .embeddingA : .a, of: module, in: assembly)
        let b = try Self.factor(isEmbedding ? .embeddingB : .b, of: module, in: assembly)
        guard let found = a.shape.first, found == rank else {
            throw LoadError(
                .mismatch, file: a.file, field: a.name,
                expected: "rank \(rank), as \(assembly.configuration.file) says for \(module.name)",
                found: TensorShape.describe(a.shape),
                advice: "use the configuration that was saved with the weights")
        }
        return LowRankUpdate(
            rank: rank, scaling: assembly.matching.scaling(of: module.name),
            a: try AdapterAssembly.numbers(a, shape: [rank, module.inputs]),
            b: try AdapterAssembly.numbers(b, shape: [module.outputs, rank]),
            magnitude: try Self.magnitude(of: module, in: assembly),
            outputBias: try Self.outputBias(of: module, in: assembly))
    }

    private static func factor(
        _ part: AdapterKey.Part, of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> TensorView {
        guard let tensor = assembly.tensors[module.name, part] else {
            throw assembly.error(
                .missing, module, part, "the file holds no such tensor, though it adapts the module",
                advice: "save the adapter again")
        }
        guard tensor.shape.count == 2, tensor.count > 0 else { throw AdapterAssembly.sharded(tensor) }
        return tensor
    }

    static func magnitude(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> [Float]? {
        let configuration = assembly.configuration
        let tensor = assembly.tensors[module.name, .magnitude]
        switch (configuration.usesDoRA, tensor) {
        case (false, nil): return nil
        case (false, .some(let tensor)):
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name,
                "a DoRA magnitude, though use_dora is false in \(configuration.file)",
                advice: "set use_dora to true if the adapter was trained with it")
        case (true, nil):
            throw assembly.error(
                .missing, module, .magnitude,
                "the configuration says DoRA (use_dora), but the file holds no magnitudes for the module",
                advice: "export the adapter again with its magnitudes")
        case (true, .some(let tensor)):
            let count = module.outputs
            let shapes = [[count], [count, 1], [1, count]]
            return try AdapterAssembly.numbers(
                tensor, shape: shapes.contains(tensor.shape) ? tensor.shape : [count])
        }
    }

    private static func outputBias(
        of module: ModuleInventory.Module, in assembly: AdapterAssembly
    ) throws(LoadError) -> [Float]? {
        let hasFactorBias = assembly.configuration.hasFactorBias
        guard let tensor = assembly.tensors[module.name, .bBias] else {
            guard hasFactorBias, module.kind == .linear else { return nil }
            throw assembly.error(
                .missing, module, .bBias,
                "lora_bias is true, but the file holds no such tensor", advice: "save the adapter again")
        }
        guard hasFactorBias else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name,
                "a factor's bias, though lora_bias is false in \(assembly.configuration.file)",
                advice: "use the configuration that was saved with the weights")
        }
        return try AdapterAssembly.numbers(tensor, shape: [module.outputs])
    }
}
