import DoraTensor
import DoraText

/// bitsandbytes' LLM.int8 and 4-bit formats.
///
/// Source: transformers `utils/quantization_config.py`, class `BitsAndBytesConfig`.
struct Bitsandbytes: CheckpointFormat {
    enum Scheme: Equatable, Sendable {
        /// LLM.int8: I8 weights with one F32 scale a row.
        case int8
        /// 4-bit codes in blocks of 64; `doubleQuantized` when the blocks' scales are quantized as well.
        case fourBit(Code, doubleQuantized: Bool)
    }

    enum Code: String, Sendable {
        case nf4, fp4
    }

    static let method = "bitsandbytes"
    static let quantizesOnLoad = true
    static let parts = [
        "SCB", "weight_format", "weight.absmax", "weight.quant_map", "weight.nested_absmax",
        "weight.nested_quant_map", "weight.quant_state.bitsandbytes__nf4",
        "weight.quant_state.bitsandbytes__fp4",
    ]

    /// Nil: only the tensors tell.
    let scheme: Scheme?
    /// Modules left unquantized, as the file names them; nil when the file leaves the choice to the library,
    /// which then spares the output head.
    let skippedModules: [String]?

    /// For files that do not say how they are quantized.
    init() {
        scheme = nil
        skippedModules = nil
    }

    init(_ fields: JSONFields) throws(LoadError) {
        let int8 = try Self.flag("load_in_8bit", fields)
        let fourBit = try Self.flag("load_in_4bit", fields)
        guard int8 != fourBit else {
            throw LoadError(
                .malformed, file: fields.file, field: fields.path("load_in_8bit"),
                "exactly one of load_in_8bit and load_in_4bit must be true",
                advice: "correct the configuration")
        }
        if try fields.bool("llm_int8_has_fp16_weight") == true {
            throw fields.unsupported(
                "llm_int8_has_fp16_weight", "weights that stay in 16 bits for training are not supported",
                advice: "set it to false")
        }
        scheme = int8 ? .int8 : try Self.fourBitScheme(fields)
        skippedModules = try fields.strings("llm_int8_skip_modules")
    }

    /// Files from before `quant_method` existed have only the flags.
    static func method(of fields: JSONFields) throws(LoadError) -> String? {
        let int8 = try flag("load_in_8bit", fields)
        let fourBit = try flag("load_in_4bit", fields)
        return int8 || fourBit ? method : nil
    }

    /// Whether the layer `module` (e.g. `model.layers.0.mlp.up_proj`) is left unquantized: one of the listed names
    /// is the start or the end of its own.
    func skips(_ module: String) -> Bool {
        (skippedModules ?? ["lm_head"]).contains { module.hasPrefix($0) || module.hasSuffix($0) }
    }

    /// As the tensors tell, whatever the configuration says.
    func weights(_ tensors: ModuleTensors) throws(LoadError) -> (any WeightSource)? {
        let (rows, columns) = (tensors.rows, tensors.columns)
        let stem = tensors.infix.isEmpty ? tensors.module : "\(tensors.module).\(tensors.infix.dropLast())"
        if let state = FourBitWeights.stateName(of: stem, in: tensors.checkpoint) {
            return try FourBitWeights(
                module: stem, stateName: state, in: tensors.checkpoint, rows: rows, columns: columns
            )
        }
        guard let weight = tensors["weight"], weight.elementType == .i8 else { return nil }
        try checkLayout(tensors)
        return try Int8Weights(
            weight: weight, rowMaxima: tensors.required("SCB"), rows: rows, columns: columns)
    }

    /// `weight_format` 0, row-major, is the only layout that bitsandbytes still writes.
    private func checkLayout(_ tensors: ModuleTensors) throws(LoadError) {
        guard let layout = tensors["weight_format"] else { return }
        let values = try layout.integers()
        guard values.allSatisfy({ $0 == 0 }) else {
            throw LoadError(
                .unsupported, file: layout.file, field: layout.name, expected: "0 (row-major)",
                found: "\(values)", advice: "save the model again with a current bitsandbytes")
        }
    }

    private static func flag(_ key: String, _ fields: JSONFields) throws(LoadError) -> Bool {
        let old = try fields.bool("_" + key)
        return try fields.bool(key) ?? old ?? false
    }

    private static func fourBitScheme(_ fields: JSONFields) throws(LoadError) -> Scheme {
        let spelling = try fields.string("bnb_4bit_quant_type") ?? Code.fp4.rawValue
        guard let code = Code(rawValue: spelling) else {
            throw fields.unsupported(
                "bnb_4bit_quant_type", "4-bit code \"\(spelling)\" is not supported", advice: "use nf4 or fp4"
            )
        }
        return .fourBit(code, doubleQuantized: try fields.bool("bnb_4bit_use_double_quant") ?? false)
    }
}
