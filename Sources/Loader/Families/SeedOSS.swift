extension ModelFamily {
    /// Seed-OSS: Llama with biases of queries, keys and values.
    static let seedOSS = ModelFamily(
        type: "seed_oss", architectures: ["SeedOssForCausalLM", "SeedOssModel"],
        biases: Biases(
            input: .key("attention_bias", absent: true), output: .key("attention_out_bias"),
            feedForward: .key("mlp_bias")), heads: Heads(keyValue: 8, size: .key(absent: 128)),
        positions: 524_288, ends: [2])
}
