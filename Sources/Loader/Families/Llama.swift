extension ModelFamily {
    /// Llama 2 and 3, TinyLlama, SmolLM 2, and whatever else is a `LlamaForCausalLM`.
    static let llama = ModelFamily(
        type: "llama",
        // The first conversions' spelling, and where the architecture names the model without its head.
        architectures: ["LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"],
        biases: Biases(
            input: .key("attention_bias"), output: .key("attention_bias"), feedForward: .key("mlp_bias")),
        ends: [2])
}
