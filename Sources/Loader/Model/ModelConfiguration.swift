package import DoraTensor
package import DoraText

/// The shape of a Llama-family model: `config.json` of its checkpoint.
///
/// Source: transformers `models/llama/configuration_llama.py`. `pretraining_tp` is ignored: it only cut matrix
/// products into slices whose sums are the same up to rounding.
package struct ModelConfiguration: Equatable, Sendable {
    package let vocabularySize: Int
    package let hiddenSize: Int
    package let intermediateSize: Int
    package let layerCount: Int
    package let attentionHeads: Int
    /// Divides `attentionHeads`.
    package let keyValueHeads: Int
    /// Even, at least 8.
    package let headSize: Int
    package let rmsNormEps: Double
    /// Context length for which the model was trained, in tokens.
    package let maximumPositions: Int
    package let rope: RopeParameters
    /// What the file says; a checkpoint that holds both tensors, and different ones, is not tied all the same.
    package let tiesWordEmbeddings: Bool
    /// Biases of all four projections of attention.
    package let attentionBias: Bool
    package let mlpBias: Bool
    /// The type in which the model was saved and runs in transformers; nil when the file does not say.
    package let elementType: ElementType?
    package let bosID: Int?
    package let eosIDs: [Int]
    package let quantization: QuantizationConfiguration?

    /// Reads `config.json`.
    package init(_ files: ModelFiles) throws(LoadError) {
        let name = "config.json"
        guard let bytes = try files.bytes(of: name, atMost: Limit.fileBytes) else {
            throw files.noConfiguration(name)
        }
        try self.init(parsing: bytes, file: files.path(of: name))
    }

    /// - Parameter file: names the bytes in errors.
    package init(parsing bytes: [UInt8], file: String) throws(LoadError) {
        let fields = try JSONFields(parsing: bytes, file: file)
        try Self.checkFamily(fields)
        vocabularySize = try fields.requiredInt("vocab_size", in: 1...Limit.vocabulary)
        hiddenSize = try fields.requiredInt("hidden_size", in: 1...Limit.width)
        intermediateSize = try fields.requiredInt("intermediate_size", in: 1...Limit.width)
        layerCount = try fields.requiredInt("num_hidden_layers", in: 1...Limit.layers)
        attentionHeads = try fields.requiredInt("num_attention_heads", in: 1...Limit.heads)
        keyValueHeads = try Self.keyValueHeads(fields, attentionHeads: attentionHeads)
        headSize = try Self.headSize(fields, hiddenSize: hiddenSize, attentionHeads: attentionHeads)
        rmsNormEps = try fields.positiveDouble("rms_norm_eps") ?? 1e-6
        maximumPositions = try fields.int("max_position_embeddings", in: 1...Limit.positions) ?? 2048
        rope = try RopeParameters(fields, maximumPositions: maximumPositions)
        tiesWordEmbeddings = try fields.bool("tie_word_embeddings") ?? false
        attentionBias = try fields.bool("attention_bias") ?? false
        mlpBias = try fields.bool("mlp_bias") ?? false
        elementType = try Self.elementType(fields)
        bosID = try fields.int("bos_token_id", in: 0...Limit.vocabulary)
        eosIDs = try fields.endIDs() ?? []
        quantization = try fields.fields("quantization_config").map(QuantizationConfiguration.init)
    }

    /// Bounds far beyond any model of today: they keep products of two of them within 64 bits, and hostile files
    /// from asking for endless work.
    package enum Limit {
        package static let fileBytes = 16 << 20
        package static let vocabulary = 1 << 26
        package static let width = 1 << 22
        package static let heads = 1 << 14
        package static let headSize = 1 << 14
        package static let layers = 1 << 12
        package static let positions = 1 << 31
    }
}

extension JSONFields {
    /// `eos_token_id`: one or several. Old conversions write -1 for none.
    func endIDs() throws(LoadError) -> [Int]? {
        try ints("eos_token_id", in: -1...ModelConfiguration.Limit.vocabulary)?.filter { $0 >= 0 }
    }
}

extension ModelConfiguration {
    /// What transformers loads as a `LlamaForCausalLM`: by `model_type`, whatever the first conversions called it, and
    /// also where the architecture names the model without its head.
    private static let architectures = ["LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"]

    private static func checkFamily(_ fields: JSONFields) throws(LoadError) {
        guard let type = try fields.string("model_type") else { throw fields.missing("model_type") }
        guard type == "llama" else {
            throw fields.unsupported(
                "model_type", "models of type \"\(type)\" are not supported",
                advice: "use a Llama-family model")
        }
        for architecture in try fields.strings("architectures") ?? []
        where !architectures.contains(architecture) {
            throw fields.unsupported(
                "architectures", "\"\(architecture)\" is not supported", advice: "use a LlamaForCausalLM")
        }
        if let activation = try fields.string("hidden_act"), !["silu", "swish"].contains(activation) {
            throw fields.unsupported(
                "hidden_act", "activation \"\(activation)\" is not supported", advice: "use a model with silu"
            )
        }
    }

    private static func keyValueHeads(_ fields: JSONFields, attentionHeads: Int) throws(LoadError) -> Int {
        let heads = try fields.int("num_key_value_heads", in: 1...Limit.heads) ?? attentionHeads
        guard attentionHeads % heads == 0 else {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path("num_key_value_heads"),
                expected: "a divisor of num_attention_heads (\(attentionHeads))", found: "\(heads)")
        }
        return heads
    }

    private static func headSize(
        _ fields: JSONFields, hiddenSize: Int, attentionHeads: Int
    ) throws(LoadError) -> Int {
        let given = try fields.int("head_dim", in: 1...Limit.headSize)
        if given == nil && hiddenSize % attentionHeads != 0 {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path("hidden_size"),
                expected: "a multiple of num_attention_heads (\(attentionHeads)), as head_dim is not given",
                found: "\(hiddenSize)")
        }
        let size = given ?? hiddenSize / attentionHeads
        guard size >= 8 && size.isMultiple(of: 2) else {
            throw fields.unsupported(
                "head_dim", "heads must have an even size of at least 8, found \(size)",
                advice: "use another model")
        }
        return size
    }

    /// `torch_dtype` in transformers 4, `dtype` in 5.
    private static func elementType(_ fields: JSONFields) throws(LoadError) -> ElementType? {
        let key = fields["dtype"] == nil ? "torch_dtype" : "dtype"
        switch try fields.string(key) {
        case nil, "auto": return nil
        case "float32", "torch.float32": return .f32
        case "float16", "torch.float16": return .f16
        case "bfloat16", "torch.bfloat16": return .bf16
        case "float64", "torch.float64": return .f64
        case .some(let name):
            throw fields.unsupported(
                key, "\"\(name)\" is not a supported type", advice: "use float32, float16 or bfloat16")
        }
    }
}
