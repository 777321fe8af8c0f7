extension ModelFamily {
    /// EXAONE 4: norms behind each half; three of four layers slide in the large model, and only those are rotated.
    static let exaone4 = ModelFamily(
        type: "exaone4", architectures: ["Exaone4ForCausalLM", "Exaone4Model"],
        norms: Norms(
            names: [
                .afterAttention: "post_attention_layernorm",
                .afterFeedForward: "post_feedforward_layernorm",
            ], epsilon: .key("rms_norm_eps", absent: 1e-5)), queryKeyNorm: QueryKeyNorm(),
        heads: Heads(keyValue: 32), rope: Rope(layers: .sliding(elseAll: true)),
        windows: Windows(
            key: "sliding_window", absent: 4096, pattern: .allBut(every: 4, key: "sliding_window_pattern")),
        ends: [2])
}
