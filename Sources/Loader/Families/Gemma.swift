import DoraTensor

extension ModelFamily {
    /// Gemma: norms stored less one, embeddings times the root of their length.
    static let gemma = ModelFamily(
        type: "gemma", architectures: ["GemmaForCausalLM", "GemmaModel"],
        biases: gemmaBiases,
        // Old files say gelu and mean its approximation.
        activation: ActivationKey(absent: .geluTanh, readings: ["gelu": .geluTanh]),
        norms: Norms(offset: 1), heads: Heads(keyValue: 16, size: .key(absent: 256)),
        scales: Scales(embedding: .rootOfHiddenSize), positions: 8192, isTied: true, ends: [1])

    /// Gemma 2: norms on both sides of each half, soft caps, every other layer slides.
    static let gemma2 = ModelFamily(
        type: "gemma2", architectures: ["Gemma2ForCausalLM", "Gemma2Model"],
        biases: gemmaBiases, activation: gemmaActivation, norms: gemmaNorms,
        heads: Heads(keyValue: 4, size: .key(absent: 256)),
        windows: Windows(key: "sliding_window", absent: 4096, pattern: .allBut(every: 2)),
        scales: Scales(
            embedding: .rootOfHiddenSize,
            attention: .inverseRoot(.key("query_pre_attn_scalar", absent: 256)),
            attentionCap: .key("attn_logit_softcapping", absent: 50),
            finalCap: .key("final_logit_softcapping", absent: 30)),
        positions: 8192, isTied: true, ends: [1])

    /// Gemma 3: queries and keys normed; sliding layers have a rotary table of their own.
    static let gemma3 = ModelFamily(
        type: "gemma3_text", architectures: ["Gemma3ForCausalLM", "Gemma3TextModel"],
        biases: gemmaBiases, activation: gemmaActivation, norms: gemmaNorms, queryKeyNorm: QueryKeyNorm(),
        heads: Heads(keyValue: 4, size: .key(absent: 256)),
        rope: Rope(theta: 1e6, layers: .byType(slidingThetaKey: "rope_local_base_freq", absent: 10_000)),
        windows: Windows(
            key: "sliding_window", absent: 4096, pattern: .allBut(every: 6, key: "sliding_window_pattern")),
        scales: Scales(
            embedding: .rootOfHiddenSize,
            attention: .inverseRoot(.key("query_pre_attn_scalar", absent: 256)),
            finalCap: .key("final_logit_softcapping")),
        positions: 131_072, isTied: true, ends: [1],
        // transformers reads this one and never uses it.
        ignoredKeys: ["attn_logit_softcapping"])

    private static let gemmaBiases = Biases(input: .key("attention_bias"), output: .key("attention_bias"))
    private static let gemmaActivation = ActivationKey(key: "hidden_activation", absent: .geluTanh)
    private static let gemmaNorms = Norms(
        names: [
            .beforeAttention: "input_layernorm", .afterAttention: "post_attention_layernorm",
            .beforeFeedForward: "pre_feedforward_layernorm",
            .afterFeedForward: "post_feedforward_layernorm",
        ], offset: 1)
}
