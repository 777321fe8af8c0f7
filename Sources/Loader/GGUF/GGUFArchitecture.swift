import DoraText

/// What the files of one `general.architecture` mean: which of transformers' models it is, and under which names and in
/// which form the file has what that model reads. A value each, in `GGUFArchitecture.all`.
struct GGUFArchitecture: Sendable {
    /// A number of the metadata that the configuration has under another name.
    struct Key: Sendable {
        /// Behind `<architecture>.`.
        let file: String
        let configuration: String

        init(_ file: String, _ configuration: String) {
            self.file = file
            self.configuration = configuration
        }
    }

    /// `general.architecture`.
    let name: String
    /// `model_type` and the name of its class in transformers.
    let modelType: String
    let className: String
    /// Others that the same files stand for.
    var otherTypes: [String] = []
    /// Numbers that other architectures do not have.
    var keys: [Key] = []
    /// What files of this architecture do not say, because llama.cpp knows it.
    var constants: [(key: String, value: JSONValue)] = []
    /// Names within a layer that differ from those of Llama.
    var names: [String: String] = [:]
    /// Whether llama.cpp knows linear maps with biases.
    var takesBiases = false
    /// Whether the configuration says if linear maps have biases; where it does not, they always or never have.
    var namesBiases = true
    /// Whether query and key rows are interleaved.
    var isInterleaved = false
    /// What the converter added to the weights of norms.
    var normShift: Float = 0
    /// Key of a number that stands for the size of a head where attention is scaled by its root.
    var queryScaleKey: String?
    /// Layers of a model in which that is not the size of a head, but hidden size / heads.
    var widelyScaledLayers: Int?

    /// Layers of the only model whose windows llama.cpp knows, where files list which layers slide; others have none.
    var slidingLayerCount: Int?
    /// Whether a model without windows has one of 0.
    var writesNoWindow = false

    var modelTypes: [String] { [modelType] + otherTypes }

    /// Names within a layer of Llama's modules; others are looked up in `names` first.
    static let llamaNames: [String: String] = [
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_qkv": "self_attn.qkv_proj",
        "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
        "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    ]

    /// Outside of the layers.
    static let outerNames: [String: String] = [
        "token_embd": ModuleInventory.embedding, "output_norm": "model.norm", "output": ModuleInventory.head,
    ]

    /// Tensors that the configuration is read from.
    static let configurationTensors: Set<String> = [
        "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight",
    ]

    /// transformers' name of a tensor; an unknown one keeps its own, so that it is missed and named.
    func transformersName(of tensor: String) -> String {
        let parts = tensor.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 2, let name = Self.outerNames[parts[0]] { return "\(name).\(parts[1])" }
        guard parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), "\(layer)" == parts[1],
            let name = names[parts[2]] ?? Self.llamaNames[parts[2]]
        else { return tensor }
        return "model.layers.\(layer).\(name).\(parts[3])"
    }
}

extension GGUFArchitecture {
    /// - Throws: `LoadError` `.unsupported` for one that is not in the table.
    static func named(_ name: String, file: String) throws(LoadError) -> GGUFArchitecture {
        if let architecture = all.first(where: { $0.name == name }) { return architecture }
        throw LoadError(
            .unsupported, file: file, field: "general.architecture",
            "models of architecture \"\(name)\" are not read",
            advice: "use a model of one of \(all.map(\.name).joined(separator: ", "))")
    }
}
