import DoraTensor

extension ModelFamily {
    /// Nemotron and Minitron: LayerNorm stored less one, a plain feed-forward network with squares.
    static let nemotron = ModelFamily(
        type: "nemotron", architectures: ["NemotronForCausalLM", "NemotronModel"],
        projections: [
            .query: "self_attn.q_proj", .key: "self_attn.k_proj", .value: "self_attn.v_proj",
            .output: "self_attn.o_proj", .up: "mlp.up_proj", .down: "mlp.down_proj",
        ],
        biases: Biases(
            input: .key("attention_bias"), output: .key("attention_bias"), feedForward: .key("mlp_bias")),
        activation: ActivationKey(absent: .reluSquared),
        norms: Norms(
            kind: .layer, hasBias: true, offset: 1, epsilon: .key("norm_eps", absent: 1e-5)),
        rope: Rope(fraction: 0.5), positions: 4096, ends: [3])
}
