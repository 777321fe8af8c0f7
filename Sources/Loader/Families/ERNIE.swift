extension ModelFamily {
    /// ERNIE 4.5 dense: neighbours are rotated together.
    static let ernie = ModelFamily(
        type: "ernie4_5", architectures: ["Ernie4_5ForCausalLM", "Ernie4_5Model"],
        biases: Biases(input: .key("use_bias"), output: .key("use_bias"), feedForward: .key("use_bias")),
        norms: Norms(epsilon: .key("rms_norm_eps", absent: 1e-5)),
        heads: Heads(keyValue: 2, size: .key(absent: 128)), rope: Rope(theta: 500_000, isInterleaved: true),
        positions: 131_072, isTied: true, ends: [2])
}
