import DoraTensor

extension ModelFamily {
    /// Phi 1, 1.5 and 2: both halves of a layer side by side, biases everywhere, half of each head rotated.
    static let phi = ModelFamily(
        type: "phi", architectures: ["PhiForCausalLM", "PhiModel"],
        projections: [
            .query: "self_attn.q_proj", .key: "self_attn.k_proj", .value: "self_attn.v_proj",
            .output: "self_attn.dense", .up: "mlp.fc1", .down: "mlp.fc2",
        ],
        biases: Biases(
            input: .always(true), output: .always(true), feedForward: .always(true), head: .always(true)),
        activation: ActivationKey(absent: .geluTanh),
        norms: Norms(
            kind: .layer, names: [.beforeAttention: "input_layernorm"], final: "model.final_layernorm",
            hasBias: true, epsilon: .key("layer_norm_eps", absent: 1e-5)),
        queryKeyNorm: QueryKeyNorm(
            query: "self_attn.q_layernorm", key: "self_attn.k_layernorm", hasBias: true,
            flag: .key("qk_layernorm")),
        residual: .parallel(.always(true)), rope: Rope(fraction: 0.5), ends: [2])

    /// Phi 3, 3.5, 4 and 4-mini: fused projections, LongRoPE.
    static let phi3 = ModelFamily(
        type: "phi3", architectures: ["Phi3ForCausalLM", "Phi3Model"],
        projections: [
            .queryKeyValue: "self_attn.qkv_proj", .output: "self_attn.o_proj",
            .gateUp: "mlp.gate_up_proj", .down: "mlp.down_proj",
        ],
        norms: Norms(epsilon: .key("rms_norm_eps", absent: 1e-5)),
        rope: Rope(
            fraction: 1, aliases: ["su": "longrope", "yarn": "longrope"], originalPositions: 4096),
        windows: Windows(key: "sliding_window", readsTypes: false), positions: 4096, ends: [32000],
        ignoredKeys: ["attention_bias"])
}
