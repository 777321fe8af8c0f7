import DoraLoader

/// A GGUF file in memory: starts as a sound Llama of one layer in F32, so that a test can spoil one thing.
struct GGUFBuilder {
    enum Value {
        case u32(UInt32)
        case f32(Float)
        case bool(Bool)
        case string(String)
        case strings([String])
        case i32s([Int32])
        case f32s([Float])
        /// Type and bytes as they are.
        case raw(UInt32, [UInt8])
    }

    struct Tensor {
        var name: String
        /// Innermost first, as in the file.
        var dimensions: [UInt64]
        var type: UInt32 = 0
        var bytes: [UInt8]
        /// Else where the last one ends.
        var offset: UInt64?

        init(_ name: String, _ shape: [Int], filledWith value: Float = 0.5) {
            self.name = name
            dimensions = shape.reversed().map { UInt64($0) }
            bytes = [[UInt8]](repeating: littleEndian(value.bitPattern), count: shape.reduce(1, *)).flatMap {
                $0
            }
        }

        init(_ name: String, _ shape: [Int], _ values: [Float]) {
            self.init(name, shape)
            bytes = values.flatMap { littleEndian($0.bitPattern) }
        }
    }

    var magic = Array("GGUF".utf8)
    var version: UInt32 = 3
    var tensorCount: UInt64?
    var valueCount: UInt64?
    var metadata: [(String, Value)] = [
        ("general.architecture", .string("llama")), ("llama.block_count", .u32(1)),
        ("llama.embedding_length", .u32(32)), ("llama.feed_forward_length", .u32(24)),
        ("llama.attention.head_count", .u32(4)), ("llama.attention.head_count_kv", .u32(2)),
        ("llama.attention.layer_norm_rms_epsilon", .f32(1e-5)), ("llama.context_length", .u32(128)),
    ]
    var tensors: [Tensor] = [
        Tensor("token_embd.weight", [10, 32]), Tensor("output_norm.weight", [32]),
        Tensor("blk.0.attn_norm.weight", [32]), Tensor("blk.0.attn_q.weight", [32, 32]),
        Tensor("blk.0.attn_k.weight", [16, 32]), Tensor("blk.0.attn_v.weight", [16, 32]),
        Tensor("blk.0.attn_output.weight", [32, 32]), Tensor("blk.0.ffn_norm.weight", [32]),
        Tensor("blk.0.ffn_gate.weight", [24, 32]), Tensor("blk.0.ffn_up.weight", [24, 32]),
        Tensor("blk.0.ffn_down.weight", [32, 24]),
    ]
    var alignment = 32

    subscript(key: String) -> Value? {
        get { metadata.first { $0.0 == key }?.1 }
        set {
            metadata.removeAll { $0.0 == key }
            if let newValue { metadata.append((key, newValue)) }
        }
    }

    subscript(tensor name: String) -> Tensor {
        get { tensors.first { $0.name == name } ?? Tensor(name, [1]) }
        set {
            if let index = tensors.firstIndex(where: { $0.name == name }) {
                tensors[index] = newValue
            } else {
                tensors.append(newValue)
            }
        }
    }

    /// The same metadata under another architecture.
    mutating func rename(architecture: String) {
        metadata = metadata.map { key, value in
            key.hasPrefix("llama.") ? (architecture + key.dropFirst("llama".count), value) : (key, value)
        }
        self["general.architecture"] = .string(architecture)
    }

    /// A tokenizer of a few tokens.
    mutating func addTokenizer(model: String = "gpt2", pre: String? = "gpt-2") {
        let tokens = ["<unk>", "<s>", "</s>", "a", "b", "c", "d", "ab", "Ġ", "<t>"]
        self["tokenizer.ggml.model"] = .string(model)
        self["tokenizer.ggml.pre"] = pre.map { .string($0) }
        self["tokenizer.ggml.tokens"] = .strings(tokens)
        self["tokenizer.ggml.token_type"] = .i32s([2, 3, 3, 1, 1, 1, 1, 1, 1, 4])
        self["tokenizer.ggml.scores"] = .f32s(tokens.indices.map { -Float($0) })
        self["tokenizer.ggml.merges"] = .strings(["a b"])
        self["tokenizer.ggml.bos_token_id"] = .u32(1)
        self["tokenizer.ggml.eos_token_id"] = .u32(2)
    }

    var bytes: [UInt8] {
        var bytes = magic + littleEndian(version)
        bytes +=
            littleEndian(tensorCount ?? UInt64(tensors.count))
            + littleEndian(valueCount ?? UInt64(metadata.count))
        for (key, value) in metadata { bytes += Self.string(key) + Self.bytes(of: value) }
        var end = 0
        for tensor in tensors {
            bytes += Self.string(tensor.name) + littleEndian(UInt32(tensor.dimensions.count))
            bytes += tensor.dimensions.flatMap { littleEndian($0) } + littleEndian(tensor.type)
            bytes += littleEndian(tensor.offset ?? UInt64(end))
            end += padded(tensor.bytes.count)
        }
        bytes += [UInt8](repeating: 0, count: padded(bytes.count) - bytes.count)
        for tensor in tensors {
            bytes += tensor.bytes
            bytes += [UInt8](repeating: 0, count: padded(tensor.bytes.count) - tensor.bytes.count)
        }
        return bytes
    }

    func model() throws -> GGUFModel { try GGUFModel(bytes: bytes, path: "m.gguf") }

    private func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    static func string(_ text: String) -> [UInt8] { littleEndian(UInt64(text.utf8.count)) + Array(text.utf8) }

    private static func bytes(of value: Value) -> [UInt8] {
        func array(_ type: UInt32, _ count: Int) -> [UInt8] {
            littleEndian(UInt32(9)) + littleEndian(type) + littleEndian(UInt64(count))
        }
        return switch value {
        case .u32(let value): littleEndian(UInt32(4)) + littleEndian(value)
        case .f32(let value): littleEndian(UInt32(6)) + littleEndian(value.bitPattern)
        case .bool(let value): littleEndian(UInt32(7)) + [value ? 1 : 0]
        case .string(let text): littleEndian(UInt32(8)) + string(text)
        case .strings(let texts): array(8, texts.count) + texts.flatMap(string)
        case .i32s(let values): array(5, values.count) + values.flatMap { littleEndian($0) }
        case .f32s(let values): array(6, values.count) + values.flatMap { littleEndian($0.bitPattern) }
        case .raw(let type, let bytes): littleEndian(type) + bytes
        }
    }
}
