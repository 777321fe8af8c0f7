import DoraText

/// Keys with which some configurations change what a model computes. One that a family does not know would be served
/// wrongly in silence, and is refused unless its value is the one that changes nothing.
extension ModelFamily {
    private static let meaningfulKeys: Set<String> = [
        "sliding_window", "layer_types", "attention_chunk_size", "attn_logit_softcapping",
        "final_logit_softcapping", "query_pre_attn_scalar", "embedding_multiplier", "attention_multiplier",
        "residual_multiplier", "logits_scaling", "logit_scale", "scale_emb", "scale_depth", "dim_model_base",
        "clip_qkv", "qk_layernorm", "use_qk_norm", "use_parallel_residual", "parallel_attn", "no_rope_layers",
        "alibi", "use_bidirectional_attention", "attention_bias", "mlp_bias", "use_bias", "use_qkv_bias",
        "attention_out_bias", "qkv_bias", "partial_rotary_factor", "rotary_pct", "rope_local_base_freq",
        "num_local_experts", "num_experts", "n_routed_experts", "num_kv_shared_layers", "attention_k_eq_v",
        "attn_temperature_tuning", "hidden_size_per_layer_input", "altup_num_inputs", "layer_scalar",
    ]

    /// Keys that the description reads or that the family is known to ignore.
    private var knownKeys: Set<String> {
        var keys = ignoredKeys
        for flag in [biases.input, biases.output, biases.feedForward, biases.head, windows.flag] {
            keys.formUnion(flag.keys)
        }
        if let queryKeyNorm { keys.formUnion(queryKeyNorm.flag.keys) }
        if case .parallel(let flag) = residual { keys.formUnion(flag.keys) }
        for number in [scales.residual, scales.attentionCap, scales.finalCap, scales.clip] {
            keys.formUnion(number?.keys ?? [])
        }
        switch scales.embedding {
        case .times(let number): keys.formUnion(number.keys)
        case .none, .rootOfHiddenSize: break
        }
        switch scales.attention {
        case .times(let number), .inverseRoot(let number): keys.formUnion(number.keys)
        case .headSize: break
        }
        switch scales.logits {
        case .times(let number), .over(let number): keys.formUnion(number.keys)
        case .none: break
        }
        if let key = windows.key { keys.insert(key) }
        if windows.readsTypes { keys.insert("layer_types") }
        if rope.fraction != nil { keys.insert("partial_rotary_factor") }
        switch rope.layers {
        case .byType(let key, _): keys.formUnion([key, "layer_types"].compactMap { $0 })
        case .listed(let key, _, _): keys.insert(key)
        case .all, .sliding: break
        }
        return keys
    }

    /// - Throws: `LoadError` `.unsupported` that names the key.
    func refuseForeignKeys(_ fields: JSONFields) throws(LoadError) {
        let foreign = Self.meaningfulKeys.subtracting(knownKeys)
        for (key, value) in fields.object.members where foreign.contains(key) && !value.changesNothing {
            // The window of a model that does not use it.
            if key == "sliding_window", fields["use_sliding_window"] == .bool(false) { continue }
            throw fields.unsupported(
                key,
                "it would change what the model computes, and models of type \"\(type)\" have no such thing",
                advice: "remove the key if transformers ignores it in this model")
        }
    }
}

extension ModelFamily.Flag {
    fileprivate var keys: [String] { if case .key(let key, _) = self { [key] } else { [] } }
}

extension ModelFamily.Number {
    fileprivate var keys: [String] { if case .key(let key, _) = self { [key] } else { [] } }
}

extension JSONValue {
    /// Null, false, zero, one and emptiness, and lists of nothing but ones or `full_attention`.
    fileprivate var changesNothing: Bool {
        switch self {
        case .array(let values): values.allSatisfy { $0.changesNothing || $0 == .string("full_attention") }
        case .number(let number): number.double == 0 || number.double == 1
        default: isFalsy
        }
    }
}
