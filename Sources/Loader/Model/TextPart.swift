import DoraText

/// A model that also sees pictures, of which only the language model is run. Text through it equals the text model's.
struct MultimodalModel: Sendable {
    /// `model_type`.
    let type: String
    let architectures: [String]
    /// `model_type` of the language model if the file does not say: then its keys may stand among the outer ones.
    let text: String
    /// `tie_word_embeddings` if the outer part does not say.
    var isTied = false
    /// Whether the inner part may say it, too.
    var tiesByTextPart = false
    /// Whether the language model's soft cap of logits is applied.
    var capsLogits = true

    static let all: [MultimodalModel] = [
        MultimodalModel(
            type: "gemma3", architectures: ["Gemma3ForConditionalGeneration"], text: "gemma3_text",
            isTied: true,
            capsLogits: false),
        MultimodalModel(
            type: "mistral3", architectures: ["Mistral3ForConditionalGeneration"], text: "mistral",
            isTied: true),
        MultimodalModel(
            type: "llava", architectures: ["LlavaForConditionalGeneration"], text: "llama",
            tiesByTextPart: true),
        MultimodalModel(
            type: "llava_next", architectures: ["LlavaNextForConditionalGeneration"], text: "llama"),
        MultimodalModel(
            type: "qwen2_vl", architectures: ["Qwen2VLForConditionalGeneration"], text: "qwen2_vl_text",
            tiesByTextPart: true),
        MultimodalModel(
            type: "qwen2_5_vl", architectures: ["Qwen2_5_VLForConditionalGeneration"],
            text: "qwen2_5_vl_text",
            tiesByTextPart: true),
        MultimodalModel(
            type: "qwen3_vl", architectures: ["Qwen3VLForConditionalGeneration"], text: "qwen3_vl_text"),
    ]
}

/// The part of a configuration that describes a language model: all of it, or its `text_config`.
struct TextPart {
    let family: ModelFamily
    let fields: JSONFields
    /// The whole configuration.
    let outer: JSONFields
    /// Nil for a model that only reads.
    let multimodal: MultimodalModel?

    /// - Throws: `LoadError` when there is no such family, or `architectures` names no model of it that completes text.
    init(_ outer: JSONFields) throws(LoadError) {
        guard let type = try outer.string("model_type") else { throw outer.missing("model_type") }
        let multimodal = MultimodalModel.all.first { $0.type == type }
        let fields = try multimodal == nil ? outer : outer.fields("text_config") ?? outer
        var name = type
        if let multimodal {
            name = try fields.string("model_type") ?? multimodal.text
            if name == multimodal.type { name = multimodal.text }
        }
        guard let family = ModelFamily.all.first(where: { [name] in $0.type == name }) else {
            throw fields.unsupported(
                "model_type", "models of type \"\(name)\" are not supported",
                advice: "use one of \(ModelFamily.all.map(\.type).sorted().joined(separator: ", "))")
        }
        self.outer = outer
        self.multimodal = multimodal
        self.fields = fields
        self.family = family
        let known = multimodal?.architectures ?? family.architectures
        for architecture in try outer.strings("architectures") ?? [] where !known.contains(architecture) {
            throw outer.unsupported(
                "architectures", "\"\(architecture)\" is not supported", advice: "use a \(known[0])")
        }
    }

    /// Whether the head is the embedding.
    func tiesWordEmbeddings() throws(LoadError) -> Bool {
        let key = "tie_word_embeddings"
        let outside = try outer.bool(key) ?? multimodal?.isTied ?? family.isTied
        guard let multimodal, multimodal.tiesByTextPart else { return outside }
        let inside = try fields.bool(key) ?? family.isTied
        return outside || inside
    }

    /// Where a key stands that either part may hold.
    func fields(holding key: String) -> JSONFields { fields[key] == nil ? outer : fields }
}
