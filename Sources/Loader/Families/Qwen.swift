extension ModelFamily {
    /// Qwen 2 and 2.5: biases of queries, keys and values; upper layers slide if the file says so.
    static let qwen2 = ModelFamily(
        type: "qwen2", architectures: ["Qwen2ForCausalLM", "Qwen2Model"],
        biases: Biases(input: .always(true)), heads: Heads(keyValue: 32), windows: qwenWindows,
        positions: 32768)

    /// Qwen 3: queries and keys are normed head by head.
    static let qwen3 = ModelFamily(
        type: "qwen3", architectures: ["Qwen3ForCausalLM", "Qwen3Model"],
        biases: Biases(input: .key("attention_bias"), output: .key("attention_bias")),
        queryKeyNorm: QueryKeyNorm(), heads: Heads(keyValue: 32, size: .key(absent: 128)),
        windows: qwenWindows, positions: 32768)

    /// The language models of Qwen2-VL, Qwen2.5-VL and Qwen3-VL. Text has one position in all directions, so their rotary
    /// embedding is the common one.
    static let qwen2VL = qwenVL("qwen2_vl_text")
    static let qwen25VL = qwenVL("qwen2_5_vl_text")
    static let qwen3VL = ModelFamily(
        type: "qwen3_vl_text", architectures: [], plainType: "qwen3", biases: qwen3.biases,
        queryKeyNorm: QueryKeyNorm(),
        heads: qwen3.heads, rope: Rope(theta: 500_000, aliases: ["mrope": "default"]), positions: 128_000)

    private static func qwenVL(_ type: String) -> ModelFamily {
        ModelFamily(
            type: type, architectures: [], plainType: "qwen2", biases: qwen2.biases,
            norms: Norms(epsilon: .key("rms_norm_eps", absent: 1e-5)), heads: Heads(keyValue: 8),
            rope: Rope(theta: 1e6, aliases: ["mrope": "default"]),
            windows: Windows(
                key: "sliding_window", flag: .key("use_sliding_window"),
                pattern: .from("max_window_layers", absent: 80)), positions: 32768, ends: [151_645])
    }

    private static let qwenWindows = Windows(
        key: "sliding_window", flag: .key("use_sliding_window"),
        pattern: .from("max_window_layers", absent: 28))
}
