extension ModelFamily {
    /// OLMo: norms without weights, queries, keys and values clipped.
    static let olmo = ModelFamily(
        type: "olmo", architectures: ["OlmoForCausalLM", "OlmoModel"], biases: olmoBiases,
        norms: Norms(kind: .layer, hasWeight: false, epsilon: .constant(1e-5)),
        scales: Scales(clip: .key("clip_qkv")), ends: [50279])

    /// OLMo 2: norms behind each half, and over all queries and all keys.
    static let olmo2 = ModelFamily(
        type: "olmo2", architectures: ["Olmo2ForCausalLM", "Olmo2Model"], biases: olmoBiases,
        norms: olmoNorms, queryKeyNorm: QueryKeyNorm(shape: .whole), ends: [50279])

    /// OLMo 3: three of four layers slide, and are rotated without scaling.
    static let olmo3 = ModelFamily(
        type: "olmo3", architectures: ["Olmo3ForCausalLM", "Olmo3Model"], biases: olmoBiases,
        norms: olmoNorms, queryKeyNorm: QueryKeyNorm(shape: .whole),
        rope: Rope(theta: 500_000, layers: .byType(slidingThetaKey: nil, absent: 500_000)),
        windows: Windows(key: "sliding_window", absent: 4096, pattern: .allBut(every: 4)), ends: [50279])

    private static let olmoBiases = Biases(input: .key("attention_bias"), output: .key("attention_bias"))
    private static let olmoNorms = Norms(
        names: [
            .afterAttention: "post_attention_layernorm", .afterFeedForward: "post_feedforward_layernorm",
        ], epsilon: .key("rms_norm_eps", absent: 1e-5))
}
