extension ModelFamily {
    /// Command-R and Aya: both halves of a layer side by side, neighbours rotated together.
    static let cohere = ModelFamily(
        type: "cohere", architectures: ["CohereForCausalLM", "CohereModel"], biases: cohereBiases,
        norms: cohereNorms,
        queryKeyNorm: QueryKeyNorm(shape: .perHeadDistinct, flag: .key("use_qk_norm")),
        residual: .parallel(.always(true)),
        rope: Rope(theta: 500_000, isInterleaved: true),
        scales: Scales(logits: .times(.key("logit_scale", absent: 0.0625))), positions: 8192, isTied: true,
        ends: [255_001])

    /// Command-R7B and Command-A: three of four layers slide, and only those are rotated.
    static let cohere2 = ModelFamily(
        type: "cohere2", architectures: ["Cohere2ForCausalLM", "Cohere2Model"], biases: cohereBiases,
        norms: cohereNorms, residual: .parallel(.always(true)), heads: Heads(size: .derived),
        rope: Rope(isInterleaved: true, layers: .sliding(elseAll: false)),
        windows: Windows(
            key: "sliding_window", absent: 4096, pattern: .allBut(every: 4, key: "sliding_window_pattern")),
        scales: Scales(logits: .times(.key("logit_scale", absent: 0.0625))), positions: 8192, isTied: true,
        ends: [255_001])

    private static let cohereBiases = Biases(input: .key("attention_bias"), output: .key("attention_bias"))
    private static let cohereNorms = Norms(
        kind: .layer, names: [.beforeAttention: "input_layernorm"],
        epsilon: .key("layer_norm_eps", absent: 1e-5))
}
