import DoraTensor
import DoraText

/// Reading a 4-bit matrix that bitsandbytes wrote: five tensors and a JSON text beside `weight`
/// (`bitsandbytes/functional.py`, `QuantState.as_dict(packed=True)`).
extension FourBitWeights {
    /// The tensor that says how `weight` is quantized; nil when the module is not in 4 bits.
    static func stateName(of module: String, in checkpoint: Checkpoint) -> String? {
        ["nf4", "fp4"].map { "\(module).weight.quant_state.bitsandbytes__\($0)" }.first {
            checkpoint[$0] != nil
        }
    }

    /// - Throws: `LoadError` naming the tensor that does not fit the others, or the field of its state.
    init(
        module: String, stateName: String, in checkpoint: Checkpoint, rows: Int, columns: Int
    ) throws(LoadError) {
        let state = try State(checkpoint.tensor(stateName))
        guard state.shape == [rows, columns] else {
            throw LoadError(
                .mismatch, file: state.file, field: stateName, expected: "shape [\(rows), \(columns)]",
                found: "\(state.shape)", advice: "check that config.json belongs to these weights")
        }
        let weight = try checkpoint.tensor("\(module).weight")
        let byteCount = (rows * columns + 1) / 2
        guard weight.byteCount == byteCount else {
            throw LoadError(
                .mismatch, file: weight.file, field: weight.name, expected: "\(byteCount) bytes of indices",
                found: "\(weight.byteCount)", advice: "the checkpoint is damaged; download it again")
        }
        let values = try Self.floats("\(module).weight.quant_map", count: 16, in: checkpoint)
        guard values.allSatisfy({ abs($0) <= 1 }) else {
            throw LoadError(
                .malformed, file: weight.file, field: "\(module).weight.quant_map",
                expected: "sixteen values in -1...1", found: "\(values)",
                advice: "the checkpoint is damaged; download it again")
        }
        let blockCount = (rows * columns).roundedUp(to: state.blockSize) / state.blockSize
        self.init(
            rows: rows, columns: columns, code: FourBitCode(values: values), blockSize: state.blockSize,
            elementType: state.elementType,
            indices: .stored(try weight.reinterpreted(as: .u8, shape: [byteCount])),
            scales: try Self.scales(module, state: state, count: blockCount, in: checkpoint))
    }

    private static func scales(
        _ module: String, state: State, count: Int, in checkpoint: Checkpoint
    ) throws(LoadError) -> BlockScales {
        let absmax = try checkpoint.tensor("\(module).weight.absmax")
        guard absmax.count == count else {
            throw LoadError(
                .mismatch, file: absmax.file, field: absmax.name, expected: "\(count) block scales",
                found: "\(absmax.shape)", advice: "the checkpoint is damaged; download it again")
        }
        guard let nested = state.nested else {
            guard absmax.elementType.isFloat else {
                throw LoadError(
                    .mismatch, file: absmax.file, field: absmax.name, expected: "F32",
                    found: absmax.elementType.rawValue, advice: "the checkpoint is damaged; download it again"
                )
            }
            return .plain(absmax)
        }
        let groups = count.roundedUp(to: nested.groupSize) / nested.groupSize
        return .nested(
            try BlockScales.Nested(
                codes: absmax, map: floats("\(module).weight.nested_quant_map", count: 256, in: checkpoint),
                groupMaxima: floats("\(module).weight.nested_absmax", count: groups, in: checkpoint),
                groupSize: nested.groupSize, offset: nested.offset))
    }

    private static func floats(
        _ name: String, count: Int, in checkpoint: Checkpoint
    ) throws(LoadError) -> [Float] {
        let tensor = try checkpoint.tensor(name)
        guard tensor.count == count else {
            throw LoadError(
                .mismatch, file: tensor.file, field: name, expected: "\(count) values",
                found: "\(tensor.shape)", advice: "the checkpoint is damaged; download it again")
        }
        return try tensor.floats()
    }

    /// The JSON text in a `quant_state` tensor.
    private struct State {
        struct Nested {
            let groupSize: Int
            let offset: Float
        }

        let file: String
        let shape: [Int]
        let blockSize: Int
        let elementType: ElementType
        let nested: Nested?

        init(_ tensor: TensorView) throws(LoadError) {
            let fields = try JSONFields(
                parsing: tensor.withBytes { [UInt8]($0) }, file: "\(tensor.file): \(tensor.name)")
            file = tensor.file
            shape = try fields.ints("shape", in: 0...ModelConfiguration.Limit.vocabulary) ?? []
            blockSize = try fields.requiredInt("blocksize", in: 1...4096)
            elementType = try Self.elementType(fields)
            if try fields.int("nested_blocksize", in: 1...1 << 20) == nil {
                nested = nil
            } else {
                nested = Nested(
                    groupSize: try fields.requiredInt("nested_blocksize", in: 1...1 << 20),
                    offset: Float(try fields.double("nested_offset") ?? 0))
            }
        }

        private static func elementType(_ fields: JSONFields) throws(LoadError) -> ElementType {
            switch try fields.string("dtype") {
            case "bfloat16": .bf16
            case "float16": .f16
            case "float32": .f32
            case let other:
                throw fields.unsupported(
                    "dtype", "4-bit weights of type \(other ?? "null") are not supported",
                    advice: "use a checkpoint quantized from float32, float16 or bfloat16")
            }
        }
    }
}
