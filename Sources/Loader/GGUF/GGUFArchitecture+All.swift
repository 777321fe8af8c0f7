import DoraText

/// Source: llama.cpp `conversion/`, `src/models/`; transformers `models/*/configuration_*.py`.
extension GGUFArchitecture {
    static let all: [GGUFArchitecture] =
        [llama, granite, smollm3] + [qwen2, qwen3] + [gemma, gemma2, gemma3] + [phi3, olmo2, glm4]
        + [commandR, cohere2, exaone4, seedOSS]

    /// Llama 2 and 3, TinyLlama, SmolLM 2; the first Mistrals, too, as long as they have no window.
    private static let llama = GGUFArchitecture(
        name: "llama", modelType: "llama", className: "LlamaForCausalLM",
        otherTypes: ["mistral"], takesBiases: true, isInterleaved: true)

    private static let granite = GGUFArchitecture(
        name: "granite", modelType: "granite", className: "GraniteForCausalLM",
        keys: [
            Key("attention.scale", "attention_multiplier"), Key("embedding_scale", "embedding_multiplier"),
            Key("residual_scale", "residual_multiplier"), Key("logit_scale", "logits_scaling"),
        ],
        takesBiases: true, isInterleaved: true)

    private static let smollm3 = GGUFArchitecture(
        name: "smollm3", modelType: "smollm3", className: "SmolLM3ForCausalLM",
        constants: [("no_rope_layer_interval", .integer(4))], isInterleaved: true)

    private static let qwen2 = GGUFArchitecture(
        name: "qwen2", modelType: "qwen2", className: "Qwen2ForCausalLM",
        constants: [("use_sliding_window", .bool(false))], takesBiases: true, namesBiases: false)

    private static let qwen3 = GGUFArchitecture(
        name: "qwen3", modelType: "qwen3", className: "Qwen3ForCausalLM",
        constants: [("use_sliding_window", .bool(false))])

    private static let gemmaActivation: (key: String, value: JSONValue) = (
        "hidden_activation", .string("gelu_pytorch_tanh")
    )

    /// Norms before and behind both halves of a layer.
    private static let gemmaNames = [
        "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    ]

    private static let gemma = GGUFArchitecture(
        name: "gemma", modelType: "gemma", className: "GemmaForCausalLM", constants: [gemmaActivation],
        normShift: 1)

    private static let gemma2 = GGUFArchitecture(
        name: "gemma2", modelType: "gemma2", className: "Gemma2ForCausalLM",
        keys: [
            Key("attn_logit_softcapping", "attn_logit_softcapping"),
            Key("final_logit_softcapping", "final_logit_softcapping"),
            Key("attention.sliding_window", "sliding_window"),
        ],
        constants: [gemmaActivation], names: gemmaNames, normShift: 1,
        queryScaleKey: "query_pre_attn_scalar", widelyScaledLayers: 46)

    private static let gemma3 = GGUFArchitecture(
        name: "gemma3", modelType: "gemma3_text", className: "Gemma3ForCausalLM",
        keys: [
            Key("final_logit_softcapping", "final_logit_softcapping"),
            Key("attention.sliding_window", "sliding_window"),
            Key("rope.freq_base_swa", "rope_local_base_freq"),
        ],
        constants: [
            gemmaActivation, ("rope_local_base_freq", .integer(10000)),
            ("sliding_window_pattern", .integer(6)),
        ],
        names: gemmaNames, normShift: 1, queryScaleKey: "query_pre_attn_scalar", widelyScaledLayers: 62)

    /// A window of 0 is none.
    private static let phi3 = GGUFArchitecture(
        name: "phi3", modelType: "phi3", className: "Phi3ForCausalLM",
        keys: [Key("attention.sliding_window", "sliding_window")], names: ["ffn_up": "mlp.gate_up_proj"],
        writesNoWindow: true)

    private static let olmo2 = GGUFArchitecture(
        name: "olmo2", modelType: "olmo2", className: "Olmo2ForCausalLM",
        names: [
            "post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
        ])

    private static let glm4 = GGUFArchitecture(
        name: "glm4", modelType: "glm4", className: "Glm4ForCausalLM",
        names: [
            "ffn_up": "mlp.gate_up_proj", "post_attention_norm": "post_self_attn_layernorm",
            "post_ffw_norm": "post_mlp_layernorm",
        ], takesBiases: true)

    private static let commandR = GGUFArchitecture(
        name: "command-r", modelType: "cohere", className: "CohereForCausalLM",
        keys: [
            Key("logit_scale", "logit_scale"), Key("attention.layer_norm_epsilon", "layer_norm_eps"),
        ])

    private static let cohere2 = GGUFArchitecture(
        name: "cohere2", modelType: "cohere2", className: "Cohere2ForCausalLM",
        keys: [
            Key("logit_scale", "logit_scale"), Key("attention.layer_norm_epsilon", "layer_norm_eps"),
            Key("attention.sliding_window", "sliding_window"),
        ],
        constants: [("sliding_window_pattern", .integer(4))])

    private static let exaone4 = GGUFArchitecture(
        name: "exaone4", modelType: "exaone4", className: "Exaone4ForCausalLM",
        keys: [Key("attention.sliding_window", "sliding_window")],
        constants: [("sliding_window_pattern", .integer(4))],
        names: [
            "post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
        ], slidingLayerCount: 64)

    private static let seedOSS = GGUFArchitecture(
        name: "seed_oss", modelType: "seed_oss", className: "SeedOssForCausalLM",
        names: ["post_attention_norm": "post_attention_layernorm"], takesBiases: true)
}
