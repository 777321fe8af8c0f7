import DoraTensor
import DoraText

/// AWQ as AutoAWQ writes it: codes of 4 bits, a scale and a zero point for each group of inputs.
///
/// V = (code - zero) * scale in the scales' type; it is not what was quantized: AWQ scales inputs, and divides the norms and
/// matrices before them alike. Source: autoawq 0.2.9 `utils/packing_utils.py` (`dequantize_gemm`), `modules/linear/gemv.py`.
struct AWQ: CheckpointFormat {
    /// `version`: in which order codes lie.
    private enum Version: String, Sendable {
        /// Along the outputs, interleaved; scales and zero points `[groups, outputs]`.
        case gemm
        /// Along the inputs; scales and zero points `[outputs, groups]`, padded.
        case gemv
    }

    static let method = "awq"
    static let parts = ["qweight", "qzeros", "scales"]
    static let ownFile: String? = "quant_config.json"
    static let scalesInputs = true

    private static let bits = 4
    /// The place of each of eight neighbours in their word.
    private static let interleaved = [0, 4, 1, 5, 2, 6, 3, 7]

    private let version: Version
    private let groupSize: Int

    init(_ fields: JSONFields) throws(LoadError) {
        try fields.refuseOthers(than: Self.known.union(Set<String>.ofAutoRound))
        let key = fields["bits"] == nil ? "w_bit" : "bits"
        let bits = try fields.requiredInt(key, in: 1...16)
        guard bits == Self.bits else {
            throw fields.unsupported(
                key, "codes of \(bits) bits are not supported", advice: "use a checkpoint of 4 bits")
        }
        let sizeKey = fields["group_size"] == nil ? "q_group_size" : "group_size"
        groupSize = try fields.int(sizeKey, in: -1...Int(Int32.max)) ?? 128
        let versionKey = ["version", "checkpoint_format", "format"].first { fields[$0] != nil } ?? "version"
        let spelling = try fields.string(versionKey)?.lowercased() ?? Version.gemm.rawValue
        let backend = try fields.string("backend")?.lowercased()
        guard let version = Version(rawValue: spelling), backend != "llm-awq" else {
            throw fields.unsupported(
                backend == "llm-awq" ? "backend" : versionKey,
                "the layout \"\(backend == "llm-awq" ? "llm-awq" : spelling)\" is not supported",
                advice: "use a checkpoint of version gemm or gemv")
        }
        self.version = version
    }

    func weights(_ tensors: ModuleTensors) throws(LoadError) -> (any WeightSource)? {
        guard let weight = tensors["qweight"] else { return nil }
        let size = groupSize > 0 ? groupSize : max(1, tensors.columns)
        let count = tensors.columns.roundedUp(to: size) / size
        let layout: (PackedIntegers.Layout.Axis, isTransposed: Bool, order: [Int]?) =
            version == .gemm ? (.rows, true, Self.interleaved) : (.columns, false, nil)
        // gemv's kernels read zero points by whole words, and scales alike.
        let width = version == .gemm ? count : Self.paddedGroups(count, size: size)
        func integers(_ tensor: TensorView, columns: Int) throws(LoadError) -> PackedIntegers {
            try PackedIntegers(
                tensor, rows: tensors.rows, columns: columns,
                layout: .init(
                    bits: Self.bits, axis: layout.0, isTransposed: layout.isTransposed, order: layout.order),
                advice: "check version and group_size of quantization_config")
        }
        return try GroupedWeights(
            codes: try integers(weight, columns: tensors.columns),
            scales: GroupScales(
                tensors.required("scales"), rows: tensors.rows, groups: count, width: width,
                isTransposed: layout.isTransposed,
                advice: "check version and group_size of quantization_config"),
            zeros: .packed(try integers(tensors.required("qzeros"), columns: width)),
            groups: .neighbours(size), in: tensors)
    }

    /// `calculate_zeros_width` of autoawq, in groups.
    private static func paddedGroups(_ count: Int, size: Int) -> Int {
        let multiple = size >= 128 ? 1 : size == 64 ? 2 : 4
        return (count.roundedUp(to: 8) / 8).roundedUp(to: multiple) * 8
    }

    /// Keys that are read, and those that say how a program is to run the codes.
    private static let known: Set<String> = [
        "quant_method", "bits", "w_bit", "group_size", "q_group_size", "zero_point", "version", "format",
        "checkpoint_format", "backend", "modules_to_not_convert", "do_fuse", "modules_to_fuse",
        "fuse_max_seq_len", "exllama_config", "sym", "desc_act", "lm_head", "method", "pack_dtype", "meta",
        "dynamic",
    ]
}
