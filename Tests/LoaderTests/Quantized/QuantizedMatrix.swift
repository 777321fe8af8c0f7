import DoraText

@testable import DoraLoader

/// One small matrix `m` `[16, 32]` in each format, to change and look at what happens.
struct QuantizedMatrix {
    static let (rows, columns) = (16, 32)

    struct Tensor {
        var type: String
        var shape: [Int]
        var bytes: [UInt8]

        /// Words that repeat one.
        static func words(_ shape: [Int], _ word: UInt32) -> Tensor {
            Tensor(
                type: "I32", shape: shape,
                bytes: (0..<shape.reduce(1, *)).flatMap { _ in littleEndian(word) })
        }

        /// Halves that repeat one; 0x3C00 is 1.
        static func halves(_ shape: [Int], _ half: UInt16 = 0x3C00) -> Tensor {
            Tensor(
                type: "F16", shape: shape,
                bytes: (0..<shape.reduce(1, *)).flatMap { _ in littleEndian(half) })
        }

        static func bytes(_ type: String, _ shape: [Int], _ byte: UInt8) -> Tensor {
            Tensor(type: type, shape: shape, bytes: [UInt8](repeating: byte, count: shape.reduce(1, *)))
        }

        static func integers(_ values: [Int32]) -> Tensor {
            Tensor(type: "I32", shape: [values.count], bytes: values.flatMap { littleEndian($0) })
        }
    }

    var configuration: [(String, String)]
    var parts: [(String, Tensor)]

    subscript(part: String) -> Tensor? {
        get { parts.first { $0.0 == part }?.1 }
        set {
            parts.removeAll { $0.0 == part }
            if let newValue { parts.append((part, newValue)) }
        }
    }

    subscript(key key: String) -> String {
        get { configuration.first { $0.0 == key }?.1 ?? "null" }
        set {
            configuration.removeAll { $0.0 == key }
            configuration.append((key, newValue))
        }
    }

    var json: [UInt8] { Array(Configurations.text(configuration).utf8) }

    var tensors: [UInt8] {
        var writer = SafetensorsWriter()
        for (name, part) in parts { writer.add("m." + name, part.type, shape: part.shape, bytes: part.bytes) }
        return writer.bytes
    }

    func weights() throws -> (any WeightSource)? { try Self.weights(json: json, tensors: tensors) }

    static func weights(json: [UInt8], tensors: [UInt8]) throws -> (any WeightSource)? {
        let quantization = try QuantizationConfiguration(JSONFields(parsing: json, file: "config.json"))
        let checkpoint = Checkpoint(
            try SafetensorsFile(bytes: tensors, path: "m.safetensors"), folder: "folder")
        return try quantization.format.weights(
            ModuleTensors(checkpoint: checkpoint, module: "m", rows: rows, columns: columns))
    }

    static let gptq = QuantizedMatrix(
        configuration: [
            ("quant_method", #""gptq""#), ("bits", "4"), ("group_size", "16"), ("sym", "true"),
            ("desc_act", "true"), ("dynamic", #"{"-:lm_head": {}, "+:n": {"bits": 8}}"#),
        ],
        parts: [
            ("qweight", .words([4, 16], 0x8765_4321)), ("qzeros", .words([2, 2], 0x7777_7777)),
            ("scales", .halves([2, 16])), ("g_idx", .integers((0..<32).map { 1 - $0 / 16 })),
        ])
    static let awq = QuantizedMatrix(
        configuration: [
            ("quant_method", #""awq""#), ("w_bit", "4"), ("q_group_size", "16"), ("version", #""GEMM""#),
        ],
        parts: [
            ("qweight", .words([32, 2], 0x7654_3210)), ("qzeros", .words([2, 2], 0x1111_1111)),
            ("scales", .halves([2, 16])),
        ])
    static let compressed = QuantizedMatrix(
        configuration: [
            ("quant_method", #""compressed-tensors""#), ("format", #""pack-quantized""#),
            (
                "config_groups",
                #"{"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "group_size": 16, "symmetric": false}}}"#
            ),
        ],
        parts: [
            ("weight_packed", .words([16, 4], 0x7654_3210)),
            ("weight_zero_point", .words([2, 2], 0x1111_1111)),
            ("weight_scale", .halves([16, 2])), ("weight_shape", .integers([16, 32])),
        ])
    static let bytes = QuantizedMatrix(
        configuration: [
            ("quant_method", #""compressed-tensors""#), ("format", #""int-quantized""#),
            (
                "config_groups",
                #"{"g": {"targets": ["re:m"], "weights": {"num_bits": 8, "strategy": "channel"}}}"#
            ),
        ],
        parts: [("weight", .bytes("I8", [16, 32], 0xFE)), ("weight_scale", .halves([16, 1]))])
    static let fp8 = QuantizedMatrix(
        configuration: [
            ("quant_method", #""fp8""#), ("weight_block_size", "[16, 16]"), ("fmt", #""e4m3""#),
        ],
        parts: [
            ("weight", .bytes("F8_E4M3", [16, 32], 0x38)),
            ("weight_scale_inv", .bytes("F8_E8M0", [1, 2], 128)),
        ])
    static let rows8 = QuantizedMatrix(
        configuration: [("quant_method", #""fbgemm_fp8""#)],
        parts: [("weight", .bytes("F8_E4M3", [16, 32], 0x38)), ("weight_scale", .halves([16, 1]))])

    static let all = [
        "gptq": gptq, "awq": awq, "compressed": compressed, "bytes": bytes, "fp8": fp8, "rows8": rows8,
    ]
}
