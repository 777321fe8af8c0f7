import DoraTensor
import DoraText

/// compressed-tensors, the format of LLM Compressor: integers packed along the inputs or a byte each, or floats of 8 bits.
///
/// V = (code - zero) * scale in the scales' type. What the configuration says of activations is not done: they meet all
/// weights alike. Source: compressed-tensors 0.20 `compressors/pack_quantized`, `compressors/naive_quantized`,
/// `quantization/lifecycle/forward_helpers.py` (`_dequantize`).
struct CompressedTensors: CheckpointFormat {
    static let method = "compressed-tensors"
    static let parts = [
        "weight_packed", "weight_scale", "weight_zero_point", "weight_shape", "weight_g_idx", "input_scale",
        "input_zero_point", "output_scale", "output_zero_point",
    ]

    private let groups: [CompressedTensorsGroup]

    init(_ fields: JSONFields) throws(LoadError) {
        try fields.refuseOthers(than: Self.known)
        if let sparsity = try fields.fields("sparsity_config") {
            let format = try sparsity.string("format") ?? "dense"
            guard format == "dense" else {
                throw sparsity.unsupported(
                    "format", "sparse weights, \"\(format)\", are not supported",
                    advice: "use a checkpoint that is not sparse")
            }
        }
        let format = try fields.string("format") ?? ""
        guard let members = try fields.fields("config_groups") else { throw fields.missing("config_groups") }
        var groups: [CompressedTensorsGroup] = []
        for (key, _) in members.object.members {
            guard let group = try members.fields(key) else { continue }
            groups.append(try CompressedTensorsGroup(group, format: format))
        }
        self.groups = groups
    }

    func weights(_ tensors: ModuleTensors) throws(LoadError) -> (any WeightSource)? {
        let packed = tensors["weight_packed"]
        let scales = tensors["weight_scale"]
        guard packed != nil || scales != nil else {
            guard let weight = tensors["weight"], weight.elementType.byteCount == 1 else { return nil }
            return try tensors.scaleless()
        }
        guard let scheme = CompressedTensorsGroup.scheme(of: tensors.spellings, in: groups) else {
            throw LoadError(
                .mismatch, file: tensors.checkpoint.folder, field: tensors.module,
                "it is quantized, and no group of config_groups targets it",
                advice: "use the config.json that was saved with the weights")
        }
        let reader = Reader(tensors: tensors, scheme: scheme)
        switch scheme.storage {
        case .packed: return try reader.packed()
        case .bytes: return try reader.bytes()
        case .floats: return try reader.floats()
        }
    }

    /// Of the whole, and those that say how codes were found. `ignore` need not be read: the tensors tell.
    private static let known: Set<String> = [
        "quant_method", "config_groups", "format", "ignore", "kv_cache_scheme", "quantization_status",
        "global_compression_ratio", "sparsity_config", "version", "run_compressed", "dequantize",
    ]

    /// One matrix.
    private struct Reader {
        let tensors: ModuleTensors
        let scheme: CompressedTensorsGroup.Scheme

        private static let advice = "use the config.json that was saved with the weights"

        func packed() throws(LoadError) -> GroupedWeights {
            let shape = try tensors.required("weight_shape")
            let declared = try shape.integers()
            guard declared == [tensors.rows, tensors.columns] else {
                throw LoadError(
                    .mismatch, file: shape.file, field: shape.name,
                    expected: "\([tensors.rows, tensors.columns])", found: "\(declared)",
                    advice: "check that config.json belongs to these weights")
            }
            return try affine(tensors.required("weight_packed"), bits: scheme.bits)
        }

        func bytes() throws(LoadError) -> GroupedWeights {
            let weight = try tensors.required("weight")
            guard weight.elementType == .i8 else { throw strange(weight, expected: "I8") }
            return try affine(weight, bits: 8)
        }

        /// Codes are stored as they are in bytes, and half their range higher in words.
        private func affine(_ weight: TensorView, bits: Int) throws(LoadError) -> GroupedWeights {
            let (groups, count) = try self.groups()
            let isShared = scheme.strategy == .tensor
            return try GroupedWeights(
                codes: PackedIntegers(
                    weight, rows: tensors.rows, columns: tensors.columns,
                    layout: .init(bits: bits, axis: .columns, allowsBytes: true), advice: Self.advice),
                scales: GroupScales(
                    tensors.required("weight_scale"), rows: tensors.rows, groups: count, isShared: isShared,
                    advice: Self.advice),
                zeros: try zeros(bits: bits, groups: count), groups: groups, in: tensors)
        }

        private func groups() throws(LoadError) -> (InputGroups, count: Int) {
            let columns = max(1, tensors.columns)
            guard case .group(let size) = scheme.strategy else { return (.neighbours(columns), 1) }
            let count = columns.roundedUp(to: size) / size
            guard let listed = tensors["weight_g_idx"], listed.count > 0 else {
                return (.neighbours(size), count)
            }
            let indices = try listed.integers()
            // Writers that never ordered the inputs leave it so.
            if indices.count == tensors.columns, indices.allSatisfy({ $0 == -1 }) {
                return (.neighbours(size), count)
            }
            guard indices.count == tensors.columns, indices.allSatisfy({ (0..<count).contains($0) }) else {
                throw strange(listed, expected: "a group for each of \(tensors.columns) inputs")
            }
            return (.listed(indices.map { Int32($0) }), count)
        }

        /// In words along the outputs, or a byte each.
        private func zeros(bits: Int, groups: Int) throws(LoadError) -> GroupedWeights.Zeros {
            let middle = UInt8(1 << (bits - 1))
            guard let stored = tensors["weight_zero_point"] else {
                if !scheme.isSymmetric { _ = try tensors.required("weight_zero_point") }
                return .constant(middle)
            }
            if scheme.strategy == .tensor || stored.elementType != .i32 {
                let values = try stored.integers()
                if let value = values.first, values.allSatisfy({ $0 == value }),
                    let zero = UInt8(exactly: value.addingReportingOverflow(Int(middle)).partialValue)
                {
                    return .constant(zero)
                }
            }
            // Bytes are 128 above what they say, whatever the bits of the codes.
            guard stored.elementType == .i32 || bits == 8 else {
                throw strange(stored, expected: "packed zero points")
            }
            return .packed(
                try PackedIntegers(
                    stored, rows: tensors.rows, columns: groups,
                    layout: .init(bits: bits, axis: .rows, allowsBytes: true), advice: Self.advice))
        }

        func floats() throws(LoadError) -> ScaledFloatWeights {
            for name in ["weight_zero_point", "weight_g_idx"] {
                guard let tensor = tensors[name], tensor.count > 0 else { continue }
                let plain = name == "weight_g_idx" ? -1 : 0
                let isPlain =
                    tensor.elementType.isFloat
                    ? try tensor.floats().allSatisfy { $0 == Float(plain) }
                    : try tensor.integers().allSatisfy { $0 == plain }
                if !isPlain { throw strange(tensor, expected: "nothing but \(plain) beside floats") }
            }
            let (rows, columns) = (max(1, tensors.rows), max(1, tensors.columns))
            let block: ScaledFloatWeights.Block =
                switch scheme.strategy {
                case .tensor: .init(rows: rows, columns: columns)
                case .channel: .init(rows: 1, columns: columns)
                case .group(let size): .init(rows: 1, columns: size)
                case .block(let rows, let columns): .init(rows: rows, columns: columns)
                }
            let scales = try tensors.required("weight_scale")
            return try ScaledFloatWeights(
                tensors.required("weight"), scales: scales, block: block, rounding: scales.elementType,
                in: tensors)
        }

        private func strange(_ tensor: TensorView, expected: String) -> LoadError {
            LoadError(
                .mismatch, file: tensor.file, field: tensor.name, expected: expected,
                found: "\(tensor.elementType.rawValue) \(TensorShape.describe(tensor.shape))",
                advice: Self.advice)
        }
    }
}
