extension ModelFamily {
    /// Hunyuan dense: queries and keys normed once they are rotated, with a base stretched by a fixed alpha.
    static let hunyuan = ModelFamily(
        type: "hunyuan_v1_dense", architectures: ["HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Model"],
        biases: Biases(input: .key("attention_bias"), output: .key("attention_bias")),
        norms: Norms(epsilon: .key("rms_norm_eps", absent: 1e-5)),
        queryKeyNorm: QueryKeyNorm(
            query: "self_attn.query_layernorm", key: "self_attn.key_layernorm", isAfterRope: true),
        rope: Rope(alphaKey: "alpha"), ends: [2],
        // The norms are there whatever it says.
        ignoredKeys: ["use_qk_norm"])
}
