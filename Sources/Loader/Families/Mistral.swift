extension ModelFamily {
    /// Mistral 7B and Nemo: Llama with a window in all layers, where the file gives one.
    static let mistral = ModelFamily(
        type: "mistral", architectures: ["MistralForCausalLM", "MistralModel"],
        heads: Heads(keyValue: 8), windows: Windows(key: "sliding_window", absent: 4096, readsTypes: false),
        positions: 131_072, ends: [2], ignoredKeys: ["layer_types"])

    /// Ministral 8B (2410): layers slide by type.
    static let ministral = ModelFamily(
        type: "ministral", architectures: ["MinistralForCausalLM", "MinistralModel"],
        heads: Heads(keyValue: 8), windows: Windows(key: "sliding_window", absent: 4096),
        positions: 131_072, ends: [2])

    /// Ministral 3 (2512): YaRN, and queries that grow behind the original context.
    static let ministral3 = ModelFamily(
        type: "ministral3", architectures: ["Ministral3ForCausalLM", "Ministral3Model"],
        norms: Norms(epsilon: .key("rms_norm_eps", absent: 1e-5)),
        heads: Heads(keyValue: 8, size: .key(absent: 128)),
        rope: Rope(
            absent: RopeParameters(
                theta: 1e6,
                scaling: .yarn(
                    RopeParameters.YarnScaling(
                        factor: 16, attentionFactor: 1, fast: 32, slow: 1, isTruncated: true,
                        originalPositions: 16384))),
            queryGrowthKey: "llama_4_scaling_beta",
            queryGrowth: QueryGrowth(beta: 0.1, positions: 16384)),
        windows: Windows(key: "sliding_window", readsTypes: false),
        positions: 262_144, ends: [2], ignoredKeys: ["layer_types"])
}
