/// Every module of a model that owns weights, under the name it has in transformers: the one place that knows the
/// names and shapes of tensors, for the base's files and for adapters alike.
///
/// Source: transformers `models/llama/modeling_llama.py`.
package struct ModuleInventory: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case embedding, linear, norm
    }

    package struct Module: Equatable, Sendable {
        /// E.g. `model.layers.0.self_attn.q_proj`.
        package let name: String
        package let kind: Kind
        /// Length of the module's output vector.
        package let outputs: Int
        /// Length of a linear layer's input vector; the vocabulary of an embedding; equal to `outputs` for a norm.
        package let inputs: Int
        package let hasBias: Bool

        /// Whether it has a row for each token.
        package var isVocabulary: Bool { kind == .embedding || name == ModuleInventory.head }

        package var weightName: String { name + ".weight" }
        package var biasName: String? { hasBias ? name + ".bias" : nil }

        /// `[outputs, inputs]` of a linear layer, `[vocabulary, hidden]` of an embedding, `[hidden]` of a norm.
        package var weightShape: [Int] {
            switch kind {
            case .linear: [outputs, inputs]
            case .embedding: [inputs, outputs]
            case .norm: [outputs]
            }
        }
    }

    /// In the order of the forward pass; `lm_head` is last and is there although it may share its weight with
    /// `model.embed_tokens`, because adapters treat the two apart.
    package private(set) var modules: [Module]
    package let layerCount: Int
    package let tiesWordEmbeddings: Bool
    private let indices: [String: Int]

    package init(_ configuration: ModelConfiguration) {
        var modules = [
            Module(
                name: Self.embedding, kind: .embedding, outputs: configuration.hiddenSize,
                inputs: configuration.vocabularySize, hasBias: false)
        ]
        for layer in 0..<configuration.layerCount {
            modules += Self.layer(layer, of: configuration)
        }
        modules.append(Self.norm("model.norm", configuration))
        modules.append(
            Module(
                name: Self.head, kind: .linear, outputs: configuration.vocabularySize,
                inputs: configuration.hiddenSize, hasBias: false))
        self.modules = modules
        layerCount = configuration.layerCount
        tiesWordEmbeddings = configuration.tiesWordEmbeddings
        indices = Dictionary(uniqueKeysWithValues: modules.enumerated().map { ($1.name, $0) })
    }

    /// The same model with another number of tokens, as transformers' `resize_token_embeddings` makes it.
    package func resized(vocabularySize: Int) -> ModuleInventory {
        var copy = self
        copy.modules = modules.map { module in
            guard module.isVocabulary else { return module }
            let isEmbedding = module.kind == .embedding
            return Module(
                name: module.name, kind: module.kind, outputs: isEmbedding ? module.outputs : vocabularySize,
                inputs: isEmbedding ? vocabularySize : module.inputs, hasBias: module.hasBias)
        }
        return copy
    }

    /// Tokens that the embedding has rows for.
    package var vocabularySize: Int { self[Self.embedding]?.inputs ?? 0 }

    package subscript(name: String) -> Module? {
        indices[name].map { modules[$0] }
    }

    package static let embedding = "model.embed_tokens"
    package static let head = "lm_head"

    private static func layer(_ index: Int, of configuration: ModelConfiguration) -> [Module] {
        let name = "model.layers.\(index)"
        let hidden = configuration.hiddenSize
        let intermediate = configuration.intermediateSize
        let queries = configuration.attentionHeads * configuration.headSize
        let keys = configuration.keyValueHeads * configuration.headSize
        func attention(_ projection: String, outputs: Int, inputs: Int) -> Module {
            Module(
                name: "\(name).self_attn.\(projection)", kind: .linear, outputs: outputs, inputs: inputs,
                hasBias: configuration.attentionBias)
        }
        func mlp(_ projection: String, outputs: Int, inputs: Int) -> Module {
            Module(
                name: "\(name).mlp.\(projection)", kind: .linear, outputs: outputs, inputs: inputs,
                hasBias: configuration.mlpBias)
        }
        return [
            norm("\(name).input_layernorm", configuration),
            attention("q_proj", outputs: queries, inputs: hidden),
            attention("k_proj", outputs: keys, inputs: hidden),
            attention("v_proj", outputs: keys, inputs: hidden),
            attention("o_proj", outputs: hidden, inputs: queries),
            norm("\(name).post_attention_layernorm", configuration),
            mlp("gate_proj", outputs: intermediate, inputs: hidden),
            mlp("up_proj", outputs: intermediate, inputs: hidden),
            mlp("down_proj", outputs: hidden, inputs: intermediate),
        ]
    }

    private static func norm(_ name: String, _ configuration: ModelConfiguration) -> Module {
        Module(
            name: name, kind: .norm, outputs: configuration.hiddenSize, inputs: configuration.hiddenSize,
            hasBias: false)
    }
}
