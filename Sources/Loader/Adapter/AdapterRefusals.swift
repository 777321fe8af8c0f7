import DoraText

/// The keys of `adapter_config.json` that would be served wrongly, each with its reason: adapters are refused
/// before their weights are touched.
enum AdapterRefusals {
    /// Keys of every method that other code reads.
    private static let read: Set<String> = [
        "peft_type", "task_type", "target_modules", "exclude_modules", "layers_to_transform",
        "layers_pattern",
        "modules_to_save", "bias", "base_model_name_or_path", "peft_version",
    ]

    /// Keys of every method that change nothing once training is over, whatever their value.
    private static let harmless: Set<String> = ["auto_mapping", "revision", "inference_mode"]

    /// Unknown switches that are about training; another `use_…` may stand for another formula.
    private static let trainingSwitches: Set<String> = [
        "use_gradient_checkpointing", "use_reentrant", "use_cache", "use_original_init", "use_fast_kernels",
    ]

    /// The kind of adapter.
    static func method(_ fields: JSONFields) throws(LoadError) -> any AdapterMethod.Type {
        guard let type = try fields.string("peft_type") else {
            guard fields["fine_tune_type"] == nil, fields["lora_parameters"] == nil else {
                throw fields.unsupported(
                    "fine_tune_type",
                    "this is an adapter of mlx-lm, which stores and scales factors its own way",
                    advice: "convert it to PEFT's format")
            }
            throw fields.missing("peft_type")
        }
        guard let method = MethodVocabulary.methods.first(where: { $0.vocabulary.peftType == type }) else {
            let others = MethodVocabulary.methods.dropFirst(2).map { $0.vocabulary.title }.joined(
                separator: ", ")
            throw fields.unsupported(
                "peft_type", "adapters of type \"\(type)\" are not supported",
                advice: "give a LoRA or DoRA adapter, or one of \(others)")
        }
        if let task = try fields.string("task_type"), task != "CAUSAL_LM" {
            throw fields.unsupported(
                "task_type", "adapters for \"\(task)\" are not supported",
                advice: "give one trained for CAUSAL_LM")
        }
        return method
    }

    /// - Returns: a warning about keys that nobody knows and that change nothing, as PEFT drops them.
    static func check(_ fields: JSONFields, _ words: MethodVocabulary) throws(LoadError) -> [LoadWarning] {
        for (key, problem, advice) in words.refused {
            if let value = fields[key], !value.isFalsy {
                throw fields.unsupported(key, "set to \(value): \(problem)", advice: advice)
            }
        }
        let known = read.union(harmless).union(words.read).union(words.harmless).union(
            words.refused.map(\.key))
        var dropped: [String] = []
        for (key, value) in fields.object.members where !known.contains(key) && !value.isFalsy {
            guard !mayChangeTheResult(key, value) else {
                throw fields.unsupported(
                    key, "an unknown setting, \(value), may change the result",
                    advice: "remove the key if it has no effect on inference")
            }
            dropped.append(key)
        }
        if dropped.isEmpty { return [] }
        return [
            LoadWarning(
                "\(fields.file): \(dropped.firstAndCount): unknown, and set aside as PEFT does",
                details: dropped.map { "\($0): unknown, set aside" })
        ]
    }

    /// PEFT switches a variant of a method on by `use_…`, or by a `…_config` of its own; other writers scale.
    private static func mayChangeTheResult(_ key: String, _ value: JSONValue) -> Bool {
        let isSwitch = key.hasPrefix("use_") && value.bool == true && !trainingSwitches.contains(key)
        let isVariant = key.hasSuffix("_config") && value.object != nil
        return isSwitch || isVariant || key == "scaling" || key == "scale" || key.hasSuffix("_scaling")
    }
}
