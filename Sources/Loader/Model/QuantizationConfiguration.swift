import DoraText

/// How bitsandbytes was asked to quantize the linear layers: `quantization_config` of `config.json`.
///
/// It stands in files of 16-bit weights, too, where it means "quantize on load"; the tensors tell which it is.
/// Source: transformers `utils/quantization_config.py`, class `BitsAndBytesConfig`.
package struct QuantizationConfiguration: Equatable, Sendable {
    package enum Scheme: Equatable, Sendable {
        /// LLM.int8: I8 weights with one F32 scale a row.
        case int8
        /// 4-bit codes in blocks of 64; `doubleQuantized` when the blocks' scales are quantized as well.
        case fourBit(Code, doubleQuantized: Bool)
    }

    package enum Code: String, Sendable {
        case nf4, fp4
    }

    package let scheme: Scheme
    /// Modules left unquantized, as the file names them; nil when the file leaves the choice to the library,
    /// which then spares the output head.
    package let skippedModules: [String]?

    /// Whether the layer `module` (e.g. `model.layers.0.mlp.up_proj`) is left unquantized: one of the listed names
    /// is the start or the end of its own.
    package func skips(_ module: String) -> Bool {
        (skippedModules ?? ["lm_head"]).contains { module.hasPrefix($0) || module.hasSuffix($0) }
    }

    init(_ fields: JSONFields) throws(LoadError) {
        let int8 = try Self.flag("load_in_8bit", fields)
        let fourBit = try Self.flag("load_in_4bit", fields)
        // Files from before the key existed have only the flags.
        let method = try fields.string("quant_method") ?? (int8 || fourBit ? "bitsandbytes" : "none")
        guard method == "bitsandbytes" else {
            throw fields.unsupported(
                "quant_method", "weights quantized by \"\(method)\" are not supported",
                advice: "use a bitsandbytes or an unquantized checkpoint of the model")
        }
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
