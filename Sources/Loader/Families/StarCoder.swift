import DoraTensor

extension ModelFamily {
    /// StarCoder 2: LayerNorm, a plain feed-forward network, biases everywhere.
    static let starcoder2 = ModelFamily(
        type: "starcoder2", architectures: ["Starcoder2ForCausalLM", "Starcoder2Model"],
        projections: [
            .query: "self_attn.q_proj", .key: "self_attn.k_proj", .value: "self_attn.v_proj",
            .output: "self_attn.o_proj", .up: "mlp.c_fc", .down: "mlp.c_proj",
        ],
        biases: Biases(
            input: .key("use_bias", absent: true), output: .key("use_bias", absent: true),
            feedForward: .key("use_bias", absent: true)), activation: ActivationKey(absent: .geluTanh),
        norms: Norms(kind: .layer, hasBias: true, epsilon: .key("norm_epsilon", absent: 1e-5)),
        heads: Heads(keyValue: 2), windows: Windows(key: "sliding_window", readsTypes: false),
        positions: 4096, isTied: true, ends: [50256])
}
