import DoraLoader

/// Configurations to start from: tests change one key and look at what happens.
enum Configurations {
    /// A small Llama of two layers with grouped heads.
    static let llama: [(String, String)] = [
        ("architectures", #"["LlamaForCausalLM"]"#), ("model_type", #""llama""#), ("vocab_size", "10"),
        ("hidden_size", "32"), ("intermediate_size", "24"), ("num_hidden_layers", "2"),
        ("num_attention_heads", "4"), ("num_key_value_heads", "2"), ("hidden_act", #""silu""#),
        ("rms_norm_eps", "1e-5"), ("max_position_embeddings", "128"), ("eos_token_id", "2"),
    ]

    static let dora: [(String, String)] = [
        ("peft_type", #""LORA""#), ("task_type", #""CAUSAL_LM""#), ("r", "2"), ("lora_alpha", "4"),
        ("use_dora", "true"), ("target_modules", #"["q_proj"]"#),
    ]

    /// The JSON text with some keys replaced or added.
    static func text(_ base: [(String, String)], _ changes: [(String, String)] = []) -> String {
        let kept = base.filter { member in !changes.contains { $0.0 == member.0 } }
        return "{" + (kept + changes).map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    }

    static func model(_ changes: (String, String)...) throws -> ModelConfiguration {
        try ModelConfiguration(parsing: Array(text(llama, changes).utf8), file: "config.json")
    }

    static func adapter(_ changes: (String, String)...) throws -> AdapterConfiguration {
        try AdapterConfiguration(parsing: Array(text(dora, changes).utf8), file: "adapter_config.json")
    }
}
