extension ModelFamily {
    /// Granite 3: a factor for embeddings, scores, what each half of a layer adds, and logits.
    static let granite = ModelFamily(
        type: "granite", architectures: ["GraniteForCausalLM", "GraniteModel"],
        biases: Biases(
            input: .key("attention_bias"), output: .key("attention_bias"), feedForward: .key("mlp_bias")),
        scales: Scales(
            embedding: .times(.key("embedding_multiplier", absent: 1)),
            attention: .times(.key("attention_multiplier", absent: 1)),
            residual: .key("residual_multiplier", absent: 1), logits: .over(.key("logits_scaling", absent: 1))
        ),
        ends: [2])
}
