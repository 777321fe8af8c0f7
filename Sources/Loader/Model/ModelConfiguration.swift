package import DoraTensor
package import DoraText

/// The shape of a model and the numbers of its arithmetic: `config.json` of its checkpoint, read as its family says.
///
/// `pretraining_tp` is ignored: it only cut matrix products into slices whose sums are the same up to rounding.
package struct ModelConfiguration: Equatable, Sendable {
    var family: ModelFamily
    /// Whether the checkpoint also holds what sees pictures.
    var isMultimodal: Bool
    package internal(set) var vocabularySize: Int
    package let hiddenSize: Int
    package let intermediateSize: Int
    package let attentionHeads: Int
    /// Divides `attentionHeads`.
    package let keyValueHeads: Int
    /// Even, at least 8.
    package let headSize: Int
    package let layers: [LayerConfiguration]
    package let norm: NormConfiguration
    /// Nil where queries and keys have none.
    package let queryKeyNorm: QueryKeyNormConfiguration?
    /// Whether attention and the feed-forward network read the same normed input.
    package let isParallel: Bool
    package let activation: Activation
    package let biases: BiasConfiguration
    package let scales: ScaleConfiguration
    /// Indexed by `LayerConfiguration.rope`; all rotate as many dimensions.
    package internal(set) var ropes: [RopeParameters]
    /// Whether the rotated pairs are neighbours, else halves apart.
    package let ropeIsInterleaved: Bool
    package let queryGrowth: QueryGrowth?
    /// Context length for which the model was made, in tokens.
    package let maximumPositions: Int
    /// What the file says; a checkpoint that holds both tensors, and different ones, is not tied all the same.
    package internal(set) var tiesWordEmbeddings: Bool
    /// The type in which the model was saved and runs in transformers; nil when the file does not say.
    package internal(set) var elementType: ElementType?
    package internal(set) var bosID: Int?
    package internal(set) var eosIDs: [Int]
    package internal(set) var quantization: QuantizationConfiguration?

    package var layerCount: Int { layers.count }
    /// `model_type`.
    package var modelType: String { family.type }

    /// How tokens of a sequence are rotated, as far as that follows from its length: equal lengths in this sense give
    /// equal keys for equal tokens. Nil where each length has its own.
    package func rotation(ofLength length: Int) -> Int? {
        for rope in ropes {
            switch rope.lengthDependence {
            case .switches(let positions) where length > positions: return 1
            case .grows(let positions) where length > positions: return nil
            default: continue
            }
        }
        return 0
    }

    /// How sequences of several lengths are rotated; nil unless all are rotated alike.
    package func rotation(ofLengths lengths: [Int]) -> Int? {
        let rotations = Set(lengths.map(rotation))
        return rotations.count == 1 ? rotations.first ?? nil : nil
    }

    /// A sequence that grows longer than this has all its tokens rotated anew.
    package var recomputedLength: Int? {
        ropes.lazy.compactMap { rope in
            if case .switches(let positions) = rope.lengthDependence { positions } else { nil }
        }.first
    }

    /// Reads `config.json`.
    package init(_ files: ModelFiles) throws(LoadError) {
        let name = "config.json"
        guard let bytes = try files.bytes(of: name, atMost: Limit.fileBytes) else {
            throw files.noConfiguration(name)
        }
        try self.init(parsing: bytes, file: files.path(of: name)) { () throws(LoadError) in
            try QuantizationConfiguration.apart(in: files)
        }
    }

    /// - Parameters:
    ///   - file: names the bytes in errors.
    ///   - quantization: looks for what the file does not say.
    package init(
        parsing bytes: [UInt8], file: String,
        quantization: () throws(LoadError) -> QuantizationConfiguration? = { () throws(LoadError) in nil }
    ) throws(LoadError) {
        let text = try TextPart(JSONFields(parsing: bytes, file: file))
        let (fields, family) = (text.fields, text.family)
        try family.refuseForeignKeys(fields)
        let reader = ConfigurationReader(fields: fields, family: family)
        self.family = family
        isMultimodal = text.multimodal != nil
        vocabularySize = try fields.requiredInt("vocab_size", in: 1...Limit.vocabulary)
        hiddenSize = try fields.requiredInt("hidden_size", in: 1...Limit.width)
        intermediateSize = try fields.requiredInt("intermediate_size", in: 1...Limit.width)
        attentionHeads = try fields.requiredInt("num_attention_heads", in: 1...Limit.heads)
        keyValueHeads = try reader.keyValueHeads(attentionHeads: attentionHeads)
        headSize = try reader.headSize(hiddenSize: hiddenSize, attentionHeads: attentionHeads)
        let positions = try fields.int("max_position_embeddings", in: 1...Limit.positions) ?? family.positions
        let rope = RopeReader(
            config: fields, family: family.rope, headSize: headSize, maximumPositions: positions)
        ropes = try rope.tables()
        queryGrowth = try rope.queryGrowth()
        ropeIsInterleaved = family.rope.isInterleaved
        maximumPositions = ropes.reduce(positions) { max($0, $1.stretchedPositions) }
        layers = try reader.layers(
            count: try fields.requiredInt("num_hidden_layers", in: 1...Limit.layers), headSize: headSize)
        norm = try reader.norm()
        queryKeyNorm = try reader.queryKeyNorm()
        isParallel = try reader.isParallel()
        activation = try reader.activation()
        biases = try reader.biases()
        scales = try reader.scales(
            hiddenSize: hiddenSize, capsLogits: text.multimodal?.capsLogits ?? true)
        tiesWordEmbeddings = try text.tiesWordEmbeddings()
        let innerType = try reader.elementType(in: fields)
        let outerType = try reader.elementType(in: text.outer)
        elementType = outerType ?? innerType
        bosID = try text.fields(holding: "bos_token_id").int("bos_token_id", in: 0...Limit.vocabulary)
        let outerEnds = try text.outer.endIDs()
        let ends = try fields.endIDs()
        eosIDs = outerEnds ?? ends ?? (fields.object["eos_token_id"] == nil ? family.ends : [])
        // compressed-tensors' name for it was another once.
        let key = ["quantization_config", "compression_config"].first { text.fields(holding: $0)[$0] != nil }
        let quantized = try key.flatMap { key throws(LoadError) in try text.fields(holding: key).fields(key) }
        let own = try quantized.map(QuantizationConfiguration.init)
        self.quantization = if let own { own } else { try quantization() }
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

/// What one layer does differently from others.
package struct LayerConfiguration: Equatable, Sendable {
    package let attention: AttentionScores
    /// Index of its rotary table; nil for a layer whose queries and keys are not rotated.
    package let rope: Int?
}

package struct NormConfiguration: Equatable, Sendable {
    package let kind: NormKind
    package let epsilon: Float
}

package struct QueryKeyNormConfiguration: Equatable, Sendable {
    /// All heads as one vector, else each by itself.
    package let isWhole: Bool
    /// Whether heads have weights of their own.
    package let isDistinct: Bool
    package let isAfterRope: Bool
}

/// Which linear maps have biases.
package struct BiasConfiguration: Equatable, Sendable {
    /// Of queries, keys and values.
    package let input: Bool
    package let output: Bool
    package let feedForward: Bool
    package let head: Bool
}

/// Factors and bounds; nil leaves numbers as they are.
package struct ScaleConfiguration: Equatable, Sendable {
    package let embedding: Float?
    /// Of what each half of a layer adds.
    package let residual: Float?
    package let logits: Float?
    /// Logits become cap tanh(logit / cap).
    package let finalCap: Float?
    /// Most magnitude of queries, keys and values.
    package let clip: Float?
}

extension RopeParameters {
    /// The context that the scaling was made for.
    fileprivate var stretchedPositions: Int {
        let (positions, factor): (Int, Double) =
            switch scaling {
            case .dynamic(let factor, let positions): (positions, factor)
            case .yarn(let yarn): (yarn.originalPositions, yarn.factor)
            case .none, .linear, .fixed, .llama3, .longrope: (0, 1)
            }
        return Int(min(Double(positions) * factor, Double(ModelConfiguration.Limit.positions)))
    }
}

extension JSONFields {
    /// `eos_token_id`: one or several. Old conversions write -1 for none.
    func endIDs() throws(LoadError) -> [Int]? {
        try ints("eos_token_id", in: -1...ModelConfiguration.Limit.vocabulary)?.filter { $0 >= 0 }
    }
}
