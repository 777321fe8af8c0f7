/// The name of a tensor in an adapter's file, taken apart: which module it belongs to, and as what.
///
/// Source: PEFT `src/peft/utils/save_and_load.py`; wrappers of FSDP and `torch.compile` and other spellings found
/// in published adapters are undone.
struct AdapterKey: Hashable, Sendable {
    enum Part: Hashable, Sendable {
        /// The factors of a linear layer.
        case a, b, bBias
        /// The factors of an embedding.
        case embeddingA, embeddingB
        case magnitude
        /// A full tensor in place of the base's.
        case weight, bias
        /// The base's tensor as it was under the factors, saved beside them.
        case baseWeight, baseBias
        case tokenRows
        /// The base's tensor as it was before training, saved by mistake.
        case original
        /// Of another method than LoRA, as PEFT calls it.
        case parameter(String)
    }

    /// Relative to the Hugging Face model, e.g. `model.layers.0.self_attn.q_proj`; empty for what all modules share.
    let module: String
    let part: Part

    /// Nil when the name is none that LoRA or DoRA adapters use.
    /// - Parameters:
    ///   - parameters: names that another method gives to the parameters of a module.
    ///   - shared: those of parameters that all modules share.
    init?(_ tensorName: String, parameters: [String] = [], shared: [String] = []) {
        var segments = tensorName.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        segments.removeAll { $0 == "_fsdp_wrapped_module" || $0 == "_orig_mod" }
        if segments.first == "module" { segments.removeFirst() }
        if segments.starts(with: ["base_model", "model"]) { segments.removeFirst(2) }
        if segments.first == "base_model", segments.count > 1, shared.contains(segments[1]) {
            segments.removeFirst()
        }
        if let name = segments.first, shared.contains(name), segments.count <= 2 {
            self.module = ""
            self.part = .parameter(name)
            return
        }
        guard let (length, part) = Self.part(of: segments, parameters), length > 0 else { return nil }
        // Adapters of models that also see pictures may name the language model's modules one level down.
        self.module = MultimodalNames.plain(segments[..<length].joined(separator: "."))
        self.part = part
    }

    /// The number of segments that name the module, and what the others name.
    private static func part(of segments: [String], _ parameters: [String]) -> (length: Int, part: Part)? {
        let markers: Set<String> = [
            "lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector",
            "weight_m_wdecomp", "base_layer", "modules_to_save", "original_module", "token_adapter",
        ]
        guard let length = segments.firstIndex(where: { markers.contains($0) || parameters.contains($0) })
        else {
            switch segments.last {
            case "weight": return (segments.count - 1, .weight)
            case "bias": return (segments.count - 1, .bias)
            default: return nil
            }
        }
        var rest = Array(segments[(length + 1)...])
        let marker = segments[length]
        if marker == "token_adapter" {
            // Saved along where PEFT saves the embedding layers.
            if rest == ["base_layer", "weight"] { return (length, .baseWeight) }
            guard rest.first == "trainable_tokens_delta" else { return nil }
            rest.removeFirst()
        }
        // An adapter's name, which recent versions of PEFT leave out.
        if marker != "base_layer", let name = rest.first, name != "weight", name != "bias" {
            rest.removeFirst()
        }
        if parameters.contains(marker) {
            return rest.isEmpty || rest == ["weight"] ? (length, .parameter(marker)) : nil
        }
        return part(marker, rest).map { (length, $0) }
    }

    private static func part(_ marker: String, _ rest: [String]) -> Part? {
        switch (marker, rest) {
        case ("lora_A", ["weight"]): .a
        case ("lora_B", ["weight"]): .b
        case ("lora_B", ["bias"]): .bBias
        case ("lora_embedding_A", []): .embeddingA
        case ("lora_embedding_B", []): .embeddingB
        case ("lora_magnitude_vector", []), ("lora_magnitude_vector", ["weight"]),
            ("weight_m_wdecomp", ["weight"]):
            .magnitude
        case ("base_layer", ["weight"]): .baseWeight
        case ("base_layer", ["bias"]): .baseBias
        case ("modules_to_save", ["weight"]): .weight
        case ("modules_to_save", ["bias"]): .bias
        case ("original_module", ["weight"]), ("original_module", ["bias"]): .original
        case ("token_adapter", []): .tokenRows
        default: nil
        }
    }
}
