/// The keys of `adapter_config.json` that would be served wrongly, each with its reason: adapters are refused
/// before their weights are touched.
enum AdapterRefusals {
    /// Keys that other code reads.
    private static let read: Set<String> = [
        "peft_type", "task_type", "init_lora_weights", "r", "lora_alpha", "use_rslora", "use_dora",
        "rank_pattern",
        "alpha_pattern", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
        "modules_to_save", "bias", "lora_bias", "ensure_weight_tying", "trainable_token_indices",
        "base_model_name_or_path",
        "peft_version",
    ]

    /// Keys that change nothing once training is over, whatever their value.
    private static let harmless: Set<String> = [
        "auto_mapping", "revision", "inference_mode", "lora_dropout", "runtime_config", "megatron_core",
        "qalora_group_size", "loftq_config", "eva_config", "corda_config",
        "lora_ga_config",
    ]

    /// Keys that change the mathematics when they are set.
    private static let refused: [(key: String, problem: String, advice: String)] = [
        (
            "fan_in_fan_out", "weights stored the other way round exist in GPT-2 models only",
            "train with fan_in_fan_out=False"
        ),
        ("layer_replication", "models with repeated layers are not supported", "train without it"),
        ("target_parameters", "factors on bare parameters are not supported", "target modules instead"),
        (
            "alora_invocation_tokens", "an activated adapter changes within a sequence and cannot be merged",
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
    ]

    private static let harmlessInitializations: Set<String> = ["gaussian", "orthogonal", "eva", "mica"]

    static func check(_ fields: JSONFields) throws(LoadError) {
        try checkKind(fields)
        for (key, problem, advice) in refused {
            if let value = fields[key], !value.isFalsy {
                throw fields.unsupported(key, "set to \(value): \(problem)", advice: advice)
            }
        }
        try checkInitialization(fields)
        let known = read.union(harmless).union(refused.map(\.key))
        for (key, value) in fields.object.members where !known.contains(key) && !value.isFalsy {
            throw fields.unsupported(
                key, "an unknown setting, \(value), may change the result",
                advice: "remove the key if it has no effect on inference")
        }
    }

    private static func checkKind(_ fields: JSONFields) throws(LoadError) {
        guard let type = try fields.string("peft_type") else { throw fields.missing("peft_type") }
        guard type == "LORA" else {
            throw fields.unsupported(
                "peft_type", "adapters of type \"\(type)\" are not supported",
                advice: "give a LoRA or DoRA adapter")
        }
        if let task = try fields.string("task_type"), task != "CAUSAL_LM" {
            throw fields.unsupported(
                "task_type", "adapters for \"\(task)\" are not supported",
                advice: "give one trained for CAUSAL_LM")
        }
    }

    /// Some initializations moved a part of the base weights into the factors: they fit that changed base only.
    private static func checkInitialization(_ fields: JSONFields) throws(LoadError) {
        let key = "init_lora_weights"
        guard let value = fields[key], value.bool == nil else { return }
        guard let name = value.string else {
            throw fields.mismatch(key, expected: "true, false or a string", value)
        }
        guard !harmlessInitializations.contains(name.lowercased()) else { return }
        throw fields.unsupported(
            key, "initialization \"\(name)\" changed the base weights during training",
            advice:
                "save the adapter with path_initial_model_for_weight_conversion, which makes it a plain one")
    }
}
