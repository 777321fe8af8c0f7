import DoraLoader

/// An adapter folder in memory: starts as a sound DoRA adapter on `q_proj` of the small Llama of
/// `Configurations`, so that a test can spoil one thing.
struct AdapterBuilder {
    static let q0 = "base_model.model.model.layers.0.self_attn.q_proj."
    static let q1 = "base_model.model.model.layers.1.self_attn.q_proj."

    struct Tensor {
        var type = "F32"
        var shape: [Int]
        var values: [Float]

        init(_ shape: [Int], _ value: Float = 0.5) {
            self.shape = shape
            values = [Float](repeating: value, count: shape.reduce(1, *))
        }
    }

    var config: [(String, String)] = []
    var tensors: [String: Tensor] = [:]

    init(dora: Bool = true) {
        if !dora { config = [("use_dora", "false")] }
        for module in [Self.q0, Self.q1] {
            tensors[module + "lora_A.weight"] = Tensor([2, 32])
            tensors[module + "lora_B.weight"] = Tensor([32, 2])
            if dora { tensors[module + "lora_magnitude_vector"] = Tensor([32], 1) }
        }
    }

    static func file(_ tensors: [String: Tensor]) -> [UInt8] {
        var writer = SafetensorsWriter()
        for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
            if tensor.type == "BF16" {
                let bytes = tensor.values.flatMap { littleEndian(UInt16($0.bitPattern >> 16)) }
                writer.add(name, "BF16", shape: tensor.shape, bytes: bytes)
            } else {
                writer.add(
                    name, tensor.type, shape: tensor.shape,
                    bytes: tensor.values.flatMap { littleEndian($0.bitPattern) })
            }
        }
        return writer.bytes
    }

    func write(to folder: TemporaryFolder) throws {
        try folder.write("adapter_config.json", Configurations.text(Configurations.dora, config))
        try folder.write("adapter_model.safetensors", Self.file(tensors))
    }

    /// Writes the folder and reads it for the small Llama.
    func load(
        base: [(String, String)] = [], baseName: String? = nil
    ) throws -> Adapter {
        let folder = try TemporaryFolder()
        try write(to: folder)
        let text = Configurations.text(Configurations.llama, base)
        let model = try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
        return try Adapter(folder: folder.path, fitting: ModuleInventory(model), baseName: baseName)
    }
}

extension Adapter {
    /// Its updates, of LoRA's and DoRA's kind.
    var lowRank: [String: LowRankUpdate] { updates.compactMapValues { $0 as? LowRankUpdate } }
}
