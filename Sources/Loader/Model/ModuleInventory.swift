/// Every module of a model that owns weights, under the name it has in transformers: the one place that knows the
/// names and shapes of tensors, for the base's files and for adapters alike.
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
        /// Length of a linear layer's input vector; the vocabulary of an embedding; of a norm, what is normed at a time.
        package let inputs: Int
        package let hasBias: Bool
        let place: Place
        /// Whether each head has a row of a norm's weights for itself; one head has one row.
        var isPerHead = false

        /// Whether it has a row for each token.
        package var isVocabulary: Bool { kind == .embedding || name == ModuleInventory.head }

        package var weightName: String { name + ".weight" }
        package var biasName: String? { hasBias ? name + ".bias" : nil }

        /// `[outputs, inputs]` of a linear layer, `[vocabulary, hidden]` of an embedding, `[hidden]` of a norm, or
        /// `[heads, head size]` where each head has weights of its own.
        package var weightShape: [Int] {
            switch kind {
            case .linear: [outputs, inputs]
            case .embedding: [inputs, outputs]
            case .norm: isPerHead ? [outputs / inputs, inputs] : [outputs]
            }
        }
    }

    /// In the order of the forward pass; `lm_head` is last and is there although it may share its weight with
    /// `model.embed_tokens`, because adapters treat the two apart.
    package private(set) var modules: [Module]
    package let layerCount: Int
    package let tiesWordEmbeddings: Bool
    /// Whether files may also hold what sees pictures.
    let isMultimodal: Bool
    private let normOffset: Float
    private let indices: [String: Int]

    package init(_ configuration: ModelConfiguration) {
        let names = ModuleNames(configuration)
        var modules = [
            Module(
                name: Self.embedding, kind: .embedding, outputs: configuration.hiddenSize,
                inputs: configuration.vocabularySize, hasBias: false, place: .embedding)
        ]
        for layer in 0..<configuration.layerCount { modules += names.layer(layer) }
        modules += names.finalNorm
        modules.append(
            Module(
                name: Self.head, kind: .linear, outputs: configuration.vocabularySize,
                inputs: configuration.hiddenSize, hasBias: configuration.biases.head, place: .head))
        self.modules = modules
        layerCount = configuration.layerCount
        tiesWordEmbeddings = configuration.tiesWordEmbeddings
        isMultimodal = configuration.isMultimodal
        normOffset = configuration.family.norms.offset
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
                inputs: isEmbedding ? vocabularySize : module.inputs, hasBias: module.hasBias,
                place: module.place)
        }
        return copy
    }

    /// Tokens that the embedding has rows for.
    package var vocabularySize: Int { self[Self.embedding]?.inputs ?? 0 }

    package subscript(name: String) -> Module? {
        indices[name].map { modules[$0] }
    }

    /// The weights of a norm as they multiply: some families store them less one.
    func normWeight(_ stored: [Float]) -> [Float] {
        normOffset == 0 ? stored : stored.map { $0 + normOffset }
    }

    package static let embedding = "model.embed_tokens"
    package static let head = "lm_head"
}
