import DoraTensor
import DoraText

/// The numbers of a configuration under the keys that GGUF files have for them.
struct GGUFNumbers {
    private let plain: PlainConfiguration
    private let table: GGUFArchitecture
    private var configuration: ModelConfiguration { plain.configuration }

    init(_ plain: PlainConfiguration, _ table: GGUFArchitecture) {
        self.plain = plain
        self.table = table
    }

    /// Keys behind `<architecture>.`.
    var numbers: [(key: String, value: GGUFMetadataValue)] {
        let size = configuration.headSize
        var numbers: [(String, GGUFMetadataValue)] = [
            ("block_count", .integer(configuration.layerCount)),
            (
                "context_length",
                .integer(plain.json["max_position_embeddings"]?.int ?? configuration.maximumPositions)
            ),
            ("embedding_length", .integer(configuration.hiddenSize)),
            ("feed_forward_length", .integer(configuration.intermediateSize)),
            ("attention.head_count", .integer(configuration.attentionHeads)),
            ("attention.head_count_kv", .integer(configuration.keyValueHeads)),
            ("attention.key_length", .integer(size)), ("attention.value_length", .integer(size)),
            ("vocab_size", .integer(configuration.vocabularySize)),
        ]
        let epsilon = configuration.norm.kind == .rms ? "layer_norm_rms_epsilon" : "layer_norm_epsilon"
        numbers.append(("attention.\(epsilon)", .float(configuration.norm.epsilon)))
        for key in table.keys {
            guard let value = value(of: key.configuration) else { continue }
            // The norm's is there.
            if !numbers.contains(where: { $0.0 == key.file }) { numbers.append((key.file, value)) }
        }
        if table.slidingLayerCount == configuration.layerCount, windows.contains(where: { $0 != nil }) {
            numbers.append(
                ("attention.sliding_window_pattern", .bools(windows.map { $0 != nil })))
        }
        return numbers
    }

    private var windows: [Int?] { configuration.layers.map(\.attention.window) }

    /// What a key of the configuration comes to, whether it stands in the file or not.
    private func value(of key: String) -> GGUFMetadataValue? {
        let (first, scales) = (configuration.layers.first?.attention, configuration.scales)
        switch key {
        case "attention_multiplier": return first.map { .float($0.scale) }
        case "embedding_multiplier": return .float(scales.embedding ?? 1)
        case "residual_multiplier": return .float(scales.residual ?? 1)
        case "logits_scaling": return .float(Float(plain.json[key]?.double ?? 1))
        case "logit_scale": return .float(scales.logits ?? 1)
        case "attn_logit_softcapping": return first?.cap.map { .float($0) }
        case "final_logit_softcapping": return scales.finalCap.map { .float($0) }
        case "layer_norm_eps": return .float(configuration.norm.epsilon)
        case "rope_local_base_freq":
            guard configuration.ropes.count > 1 else { return nil }
            return .float(Float(configuration.ropes[1].theta))
        case "sliding_window":
            if let count = table.slidingLayerCount, count != configuration.layerCount { return nil }
            if let window = windows.lazy.compactMap({ $0 }).first { return .integer(window) }
            return table.writesNoWindow ? .integer(0) : nil
        default: return nil
        }
    }
}

/// How rotary frequencies are stretched, in a GGUF file's keys and tensors: the inverse of `GGUFRope`.
struct GGUFRopeMetadata {
    private(set) var metadata: [(key: String, value: GGUFMetadataValue)] = []
    private(set) var divisors: [(name: String, values: [Float])] = []

    /// - Throws: `LoadError` `.unsupported` for a scaling that llama.cpp does not know.
    init(_ configuration: ModelConfiguration, file: String) throws(LoadError) {
        guard let rope = configuration.ropes.first else { return }
        let dimensions = Int((Double(configuration.headSize) * rope.fraction).rounded())
        metadata = [
            ("rope.freq_base", .float(Float(rope.theta))), ("rope.dimension_count", .integer(dimensions)),
        ]
        switch rope.scaling {
        case .none: break
        case .linear(let factor): add("linear", factor: factor)
        case .yarn(let yarn):
            add("yarn", factor: yarn.factor, positions: yarn.originalPositions)
            if yarn.fast != 32 { metadata.append(("rope.scaling.yarn_beta_fast", .float(Float(yarn.fast)))) }
            if yarn.slow != 1 { metadata.append(("rope.scaling.yarn_beta_slow", .float(Float(yarn.slow)))) }
            let usual = GGUFRope.yarnAttention(factor: yarn.factor)
            if yarn.attentionFactor != usual { addAttention(yarn.attentionFactor / usual) }
        case .llama3(let llama3):
            let values = (0..<dimensions / 2).map { pair in
                Float(
                    GGUFRope.llama3Divisor(
                        pair: pair, of: dimensions / 2, theta: rope.theta, factor: llama3.factor,
                        positions: Double(llama3.originalPositions)))
            }
            divisors = [("rope_freqs.weight", values)]
        case .longrope(let longrope):
            divisors = [
                ("rope_factors_long.weight", longrope.long.map { Float($0) }),
                ("rope_factors_short.weight", longrope.short.map { Float($0) }),
            ]
            metadata.append(("rope.scaling.type", .text("longrope")))
            metadata.append(
                ("rope.scaling.original_context_length", .integer(longrope.originalPositions)))
            addAttention(longrope.attentionFactor)
        case .dynamic, .fixed:
            throw LoadError(
                .unsupported, file: file, field: "rope_scaling",
                "llama.cpp does not know how the rotary embedding of this model is stretched",
                advice: "export the model in the Hugging Face layout")
        }
    }

    private mutating func add(_ type: String, factor: Double, positions: Int? = nil) {
        metadata.append(("rope.scaling.type", .text(type)))
        metadata.append(("rope.scaling.factor", .float(Float(factor))))
        if let positions { metadata.append(("rope.scaling.original_context_length", .integer(positions))) }
    }

    private mutating func addAttention(_ factor: Double) {
        metadata.append(("rope.scaling.attn_factor", .float(Float(factor))))
    }
}
