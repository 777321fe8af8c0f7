extension ModelFamily {
    /// SmolLM 3: every fourth layer is not rotated.
    static let smollm3 = ModelFamily(
        type: "smollm3", architectures: ["SmolLM3ForCausalLM", "SmolLM3Model"],
        biases: Biases(
            input: .key("attention_bias"), output: .key("attention_bias"), feedForward: .key("mlp_bias")),
        heads: Heads(keyValue: 4),
        rope: Rope(
            theta: 2e6,
            layers: .listed("no_rope_layers", interval: "no_rope_layer_interval", absent: 4)),
        windows: Windows(key: "sliding_window", flag: .key("use_sliding_window"), pattern: .unrotated),
        positions: 32768, isTied: true, ends: [128_001])
}
