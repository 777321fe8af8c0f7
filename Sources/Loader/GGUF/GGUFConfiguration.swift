import DoraText

/// `config.json` and `generation_config.json` as transformers would have written them, from a GGUF file's metadata and the
/// shapes of its tensors.
struct GGUFConfiguration {
    private let model: GGUFModel
    private let ends: GGUFEnds
    private var file: GGUFFile { model.head }
    private var architecture: GGUFArchitecture { model.architecture }

    init(_ model: GGUFModel) throws(LoadError) {
        self.model = model
        ends = try GGUFEnds(model.head)
    }

    private static let sizes = [
        GGUFArchitecture.Key("embedding_length", "hidden_size"),
        GGUFArchitecture.Key("block_count", "num_hidden_layers"),
        GGUFArchitecture.Key("feed_forward_length", "intermediate_size"),
        GGUFArchitecture.Key("attention.head_count", "num_attention_heads"),
        GGUFArchitecture.Key("attention.head_count_kv", "num_key_value_heads"),
        GGUFArchitecture.Key("attention.key_length", "head_dim"),
        GGUFArchitecture.Key("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        GGUFArchitecture.Key("context_length", "max_position_embeddings"),
        GGUFArchitecture.Key("rope.freq_base", "rope_theta"),
    ]

    /// `config.json`.
    func config() throws(LoadError) -> JSONValue {
        try refuseExperts()
        guard let vocabulary = model.shape(of: "token_embd.weight")?.first else {
            throw LoadError(
                .missing, file: file.path, field: "token_embd.weight", "the file does not hold this tensor",
                advice: "if it is a part of a split model, give the first part")
        }
        var members = Members()
        members["model_type"] = .string(architecture.modelType)
        members["architectures"] = .array([.string(architecture.className)])
        members["vocab_size"] = .integer(vocabulary)
        for (key, value) in architecture.constants { members[key] = value }
        for key in Self.sizes + architecture.keys {
            if let value = try number(key.file) { members[key.configuration] = value }
        }
        if members["sliding_window"] == .integer(0) { members["sliding_window"] = .null }
        // Absence, which transformers takes for its default, is none here.
        if let count = architecture.slidingLayerCount, members["num_hidden_layers"]?.int != count,
            members["sliding_window"] == nil
        {
            members["sliding_window"] = .null
            members["sliding_window_pattern"] = .integer(0)
        }
        members["tie_word_embeddings"] = .bool(model.shape(of: "output.weight") == nil)
        if architecture.namesBiases {
            members["attention_bias"] = .bool(model.shape(of: "blk.0.attn_q.bias") != nil)
            members["mlp_bias"] = .bool(model.shape(of: "blk.0.ffn_up.bias") != nil)
        }
        if let types = try layerTypes() { members["layer_types"] = types }
        members["dtype"] = .string("float32")
        try addHeads(&members)
        // Some files leave out what llama.cpp takes for granted.
        if members["rope_theta"] == nil { members["rope_theta"] = .integer(10_000) }
        let theta = members["rope_theta"]?.double ?? 10_000
        if let scaling = try GGUFRope(model).scaling(theta: theta) {
            members["rope_scaling"] = scaling
            // Where models of this type have it.
            if let positions = scaling.object?["original_max_position_embeddings"],
                scaling.object?["long_factor"] != nil
            {
                members["original_max_position_embeddings"] = positions
            }
        }
        ends.add(to: &members)
        return members.value
    }

    /// `generation_config.json`.
    func generation() -> JSONValue {
        var members = Members()
        ends.add(to: &members)
        return members.value
    }

    /// The size of heads, and of what is rotated of them.
    private func addHeads(_ members: inout Members) throws(LoadError) {
        guard let hidden = members["hidden_size"]?.int, let heads = members["num_attention_heads"]?.int,
            heads > 0
        else { return }
        let size = members["head_dim"]?.int ?? hidden / heads
        members["head_dim"] = .integer(size)
        if let key = architecture.queryScaleKey {
            let isWide = members["num_hidden_layers"]?.int == architecture.widelyScaledLayers
            members[key] = .integer(isWide ? hidden / heads : size)
        }
        if let rotated = try integer("rope.dimension_count"), rotated != size, size > 0 {
            members["partial_rotary_factor"] = .decimal(Double(rotated) / Double(size))
        }
    }

    /// Which layers slide, in files that list them.
    private func layerTypes() throws(LoadError) -> JSONValue? {
        let key = "\(architecture.name).attention.sliding_window_pattern"
        guard case .array = file.value(key), let values = try file.numbers(key) else { return nil }
        var types: [JSONValue] = []
        for value in values {
            guard case .bool(let slides) = value else { throw file.mismatch(key, expected: "bools", value) }
            types.append(.string(slides ? "sliding_attention" : "full_attention"))
        }
        return .array(types)
    }

    private func refuseExperts() throws(LoadError) {
        let key = "\(architecture.name).expert_count"
        guard let count = try file.integer(key), count > 0 else { return }
        throw LoadError(
            .unsupported, file: file.path, field: key, "models with experts are not read, found \(count)",
            advice: "use a model without them")
    }

    private func integer(_ key: String) throws(LoadError) -> Int? {
        try file.integer("\(architecture.name).\(key)")
    }

    /// A number; of a list with one for each layer, the one that all have.
    private func number(_ key: String) throws(LoadError) -> JSONValue? {
        let key = "\(architecture.name).\(key)"
        guard let value = file.value(key) else { return nil }
        guard case .array = value else { return try json(value, key) }
        let values = try (try file.numbers(key) ?? []).map { value throws(LoadError) in try json(value, key) }
        guard let first = values.first, values.allSatisfy({ $0 == first }) else {
            throw LoadError(
                .unsupported, file: file.path, field: key,
                "layers that differ from each other are not supported",
                advice: "use another model")
        }
        return first
    }

    private func json(_ value: GGUFValue, _ key: String) throws(LoadError) -> JSONValue {
        switch value {
        case .integer(let integer): return .integer(integer)
        case .float(let number, let text):
            guard number.isFinite else { throw file.mismatch(key, expected: "a finite number", value) }
            return .number(JSONNumber(text: text))
        case .bool, .string, .array: throw file.mismatch(key, expected: "a number", value)
        }
    }
}

/// The members of an object on its way: a later value of a key replaces an earlier one.
struct Members {
    private var keys: [String] = []
    private var values: [String: JSONValue] = [:]

    subscript(key: String) -> JSONValue? {
        get { values[key] }
        set {
            if values.updateValue(newValue ?? .null, forKey: key) == nil { keys.append(key) }
        }
    }

    var value: JSONValue {
        var object = JSONObject()
        for key in keys { _ = object.append(key, values[key] ?? .null) }
        return .object(object)
    }
}
