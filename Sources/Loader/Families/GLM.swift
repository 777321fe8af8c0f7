extension ModelFamily {
    /// GLM-4 9B: fused gate and up, half of each head rotated, neighbours together.
    static let glm = ModelFamily(
        type: "glm", architectures: ["GlmForCausalLM", "GlmModel"], projections: glmProjections,
        biases: glmBiases, norms: Norms(epsilon: .key("rms_norm_eps", absent: 1.5625e-7)), heads: glmHeads,
        rope: glmRope, positions: 131_072, ends: glmEnds)

    /// GLM-4-0414: norms behind each half as well.
    static let glm4 = ModelFamily(
        type: "glm4", architectures: ["Glm4ForCausalLM", "Glm4Model"], projections: glmProjections,
        biases: glmBiases,
        norms: Norms(
            names: [
                .beforeAttention: "input_layernorm", .afterAttention: "post_self_attn_layernorm",
                .beforeFeedForward: "post_attention_layernorm", .afterFeedForward: "post_mlp_layernorm",
            ], epsilon: .key("rms_norm_eps", absent: 1.5625e-7)), heads: glmHeads, rope: glmRope,
        positions: 131_072, ends: glmEnds)

    private static let glmProjections: [Projection: String] = [
        .query: "self_attn.q_proj", .key: "self_attn.k_proj", .value: "self_attn.v_proj",
        .output: "self_attn.o_proj", .gateUp: "mlp.gate_up_proj", .down: "mlp.down_proj",
    ]
    private static let glmBiases = Biases(input: .key("attention_bias", absent: true))
    private static let glmHeads = Heads(keyValue: 2, size: .key(absent: 128))
    private static let glmRope = Rope(isInterleaved: true, fraction: 0.5)
    private static let glmEnds = [151_329, 151_336, 151_338]
}
