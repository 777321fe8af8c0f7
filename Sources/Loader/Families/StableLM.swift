extension ModelFamily {
    /// StableLM: LayerNorm, a quarter of each head rotated, and by flags a norm for each head and parallel halves.
    static let stablelm = ModelFamily(
        type: "stablelm", architectures: ["StableLmForCausalLM", "StableLmModel"],
        biases: Biases(input: .key("use_qkv_bias")),
        norms: Norms(kind: .layer, hasBias: true, epsilon: .key("layer_norm_eps", absent: 1e-5)),
        queryKeyNorm: QueryKeyNorm(
            shape: .perHeadModules, query: "self_attn.q_layernorm", key: "self_attn.k_layernorm",
            flag: .key("qk_layernorm")), residual: .parallel(.key("use_parallel_residual")),
        heads: Heads(keyValue: 32, size: .derived), rope: Rope(fraction: 0.25), positions: 4096, ends: [0])
}
