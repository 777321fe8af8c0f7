import DoraTensor
import DoraText

/// GPTQ as AutoGPTQ and GPTQModel write it: codes of 2, 4 or 8 bits packed along the inputs, a scale and a zero point for
/// each group of inputs and each output, and the group of each input, `g_idx`.
///
/// V = (code - zero) * scale in the scales' type. Source: auto-gptq 0.7.1 `nn_modules/qlinear`, GPTQModel 7.7
/// `nn_modules/qlinear/__init__.py` (`dequantize_weight`) and `utils/model.py` (`convert_gptq_v1_to_v2_format_module`).
struct GPTQ: CheckpointFormat {
    /// `checkpoint_format`.
    enum Version: String, Sendable {
        /// Zero points are stored less one, as words: what is added carries into the neighbour.
        case first = "gptq"
        case second = "gptq_v2"
    }

    /// What `dynamic` says of the modules that a pattern matches.
    private struct Override: Equatable, Sendable {
        let pattern: NamePattern
        let bits: Int?
        let groupSize: Int?
    }

    static let method = "gptq"
    static let parts = ["qweight", "qzeros", "scales", "g_idx"]
    /// Of AutoGPTQ, which kept the configuration apart.
    static let ownFile: String? = "quantize_config.json"

    private let version: Version
    private let isSymmetric: Bool
    private let isOrderedByActivation: Bool
    private let bits: Int
    private let groupSize: Int
    private let overrides: [Override]

    init(_ fields: JSONFields) throws(LoadError) {
        try fields.refuseOthers(than: Self.known.union(Set<String>.ofAutoRound))
        let format = try fields.string("format")
        let spelling = try fields.string("checkpoint_format") ?? format ?? Version.first.rawValue
        guard let version = Version(rawValue: spelling) else {
            throw fields.unsupported(
                "checkpoint_format", "\"\(spelling)\" is not supported",
                advice: "use a checkpoint in the format gptq or gptq_v2")
        }
        if let type = try fields.string("pack_dtype"), type != "int32" {
            throw fields.unsupported(
                "pack_dtype", "words of type \(type) are not supported", advice: "use a checkpoint in int32")
        }
        self.version = version
        isSymmetric = try fields.bool("sym") ?? true
        isOrderedByActivation = try fields.bool("desc_act") ?? false
        guard let bits = try Self.bits(fields) else { throw fields.missing("bits") }
        self.bits = bits
        groupSize = try fields.int("group_size", in: -1...Int(Int32.max)) ?? 128
        overrides = try Self.overrides(fields)
    }

    private static func bits(_ fields: JSONFields) throws(LoadError) -> Int? {
        guard let bits = try fields.int("bits", in: 1...16) else { return nil }
        guard [2, 4, 8].contains(bits) else {
            throw fields.unsupported(
                "bits", "codes of \(bits) bits are not supported", advice: "use a checkpoint of 4 or 8 bits")
        }
        return bits
    }

    /// `dynamic`: patterns, `-:` in front of those of modules that are not quantized, and what differs for the others.
    private static func overrides(_ fields: JSONFields) throws(LoadError) -> [Override] {
        guard let dynamic = try fields.fields("dynamic") else { return [] }
        var overrides: [Override] = []
        for (key, _) in dynamic.object.members {
            let isPrefixed = key.hasPrefix("+:") || key.hasPrefix("-:")
            let pattern = try NamePattern(
                isPrefixed ? String(key.dropFirst(2)) : key, fields, key: "dynamic")
            guard !key.hasPrefix("-:"), let inner = try dynamic.fields(key) else {
                overrides.append(Override(pattern: pattern, bits: nil, groupSize: nil))
                continue
            }
            try inner.refuseOthers(than: known)
            overrides.append(
                Override(
                    pattern: pattern, bits: try bits(inner),
                    groupSize: try inner.int("group_size", in: -1...Int(Int32.max))))
        }
        return overrides
    }

    func weights(_ tensors: ModuleTensors) throws(LoadError) -> (any WeightSource)? {
        guard let weight = tensors["qweight"] else { return nil }
        let own = overrides.first { override in
            tensors.spellings.contains { override.pattern.matches($0) }
        }
        let bits = own?.bits ?? bits
        let advice = "check bits and group_size of quantization_config"
        let codes = try PackedIntegers(
            weight, rows: tensors.rows, columns: tensors.columns,
            layout: .init(bits: bits, axis: .columns, isTransposed: true), advice: advice)
        let scales = try tensors.required("scales")
        let groupCount = scales.shape.first ?? 0
        let groups = try groups(tensors, size: own?.groupSize ?? groupSize, count: groupCount)
        let zeros = try tensors.required("qzeros")
        return try GroupedWeights(
            codes: codes,
            scales: GroupScales(
                scales, rows: tensors.rows, groups: groupCount, isTransposed: true, advice: advice),
            zeros: self.zeros(zeros, rows: tensors.rows, groups: groupCount, bits: bits, advice: advice),
            groups: groups, in: tensors)
    }

    private func zeros(
        _ tensor: TensorView, rows: Int, groups: Int, bits: Int, advice: String
    ) throws(LoadError) -> GroupedWeights.Zeros {
        let packed = try PackedIntegers(
            tensor, rows: rows, columns: groups,
            layout: .init(
                bits: bits, axis: .rows, isTransposed: true,
                addend: version == .first ? Self.ones(bits: bits) : 0),
            advice: advice)
        if isSymmetric, try hasMiddles(tensor, bits: bits) { return .constant(1 << UInt8(bits - 1)) }
        return .packed(packed)
    }

    /// As the file lists them, if it does.
    private func groups(
        _ tensors: ModuleTensors, size: Int, count: Int
    ) throws(LoadError) -> InputGroups {
        let neighbours = size > 0 ? size : max(1, tensors.columns)
        guard let listed = tensors["g_idx"], listed.count > 0 else {
            if isOrderedByActivation { _ = try tensors.required("g_idx") }
            return .neighbours(neighbours)
        }
        guard listed.elementType == .i32 || listed.elementType == .i64, listed.count == tensors.columns else {
            throw LoadError(
                .mismatch, file: listed.file, field: listed.name, expected: "I32 [\(tensors.columns)]",
                found: "\(listed.elementType.rawValue) \(TensorShape.describe(listed.shape))",
                advice: "the checkpoint is damaged; download it again")
        }
        let indices = try listed.integers()
        guard count <= max(1, tensors.columns), indices.allSatisfy({ (0..<count).contains($0) }) else {
            throw LoadError(
                .malformed, file: listed.file, field: listed.name,
                "its groups are not those that there are scales for",
                advice: "the checkpoint is damaged; download it again")
        }
        let isPlain = indices.enumerated().allSatisfy { $0.element == $0.offset / neighbours }
        let groupCount = tensors.columns.roundedUp(to: neighbours) / neighbours
        return isPlain && groupCount == count ? .neighbours(neighbours) : .listed(indices.map { Int32($0) })
    }

    /// Whether each zero point is the one of symmetric codes, which tells the version; configurations are wrong about it
    /// at times.
    private func hasMiddles(_ zeros: TensorView, bits: Int) throws(LoadError) -> Bool {
        let middle = Self.ones(bits: bits) << UInt32(bits - 1)
        let first = middle &- Self.ones(bits: bits)
        let isFirst = version == .first
        guard !zeros.isFilled(with: isFirst ? first : middle) else { return true }
        guard !zeros.isFilled(with: isFirst ? middle : first) else {
            let other = isFirst ? Version.second : Version.first
            throw LoadError(
                .mismatch, file: zeros.file, field: zeros.name,
                "its zero points are those of \(other.rawValue), and checkpoint_format says \(version.rawValue)",
                advice: "set checkpoint_format of quantization_config to \(other.rawValue)")
        }
        return false
    }

    /// A one in each place of a word.
    private static func ones(bits: Int) -> UInt32 { UInt32.max / ((1 << UInt32(bits)) - 1) }

    /// AutoGPTQ gave biases of zeros to modules that have none.
    func hasNoEffect(_ tensor: TensorView) throws(LoadError) -> Bool {
        guard tensor.name.hasSuffix(".bias"), tensor.elementType.isFloat else { return false }
        return try tensor.floats().allSatisfy { $0 == 0 }
    }

    /// Keys that are read, and those that say how codes were found or how a program is to run them.
    private static let known: Set<String> = [
        "quant_method", "bits", "group_size", "sym", "desc_act", "checkpoint_format", "format", "dynamic",
        "pack_dtype", "method", "lm_head", "meta", "damp_percent", "damp_auto_increment", "static_groups",
        "true_sequential", "mse", "act_group_aware", "gptaq", "foem", "tokenizer", "dataset", "backend",
        "model_seqlen", "block_name_to_quantize", "module_name_preceding_first_block", "batch_size",
        "pad_token_id", "use_cuda_fp16", "use_exllama", "disable_exllama", "max_input_length",
        "exllama_config", "cache_block_outputs", "modules_in_block_to_quantize", "model_name_or_path",
        "model_file_base_name", "quantizer", "awq_gemm_checkpoint", "offload_to_disk",
        "offload_to_disk_path", "hyb_act", "v2", "v2_alpha", "v2_memory_device", "device",
    ]
}

extension TensorView {
    /// Whether all words are one and the same.
    fileprivate func isFilled(with word: UInt32) -> Bool {
        withBytes { bytes in
            count > 0
                && (0..<count).allSatisfy { index in
                    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
                        == word
                }
        }
    }
}
