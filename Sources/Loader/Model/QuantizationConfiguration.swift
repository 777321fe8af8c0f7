import DoraText

/// How the linear layers were quantized: `quantization_config` of `config.json`.
///
/// It may stand in files of 16-bit weights, too, where it means "quantize on load"; the tensors tell which it is.
package struct QuantizationConfiguration: Equatable, Sendable {
    let format: any CheckpointFormat

    private static let formats: [any CheckpointFormat.Type] = [
        Bitsandbytes.self, GPTQ.self, AWQ.self, CompressedTensors.self, FineGrainedFP8.self, FBGEMM.self,
    ]

    /// - Throws: `LoadError` when the method is not known, or its format asks for what is not supported.
    init(_ fields: JSONFields) throws(LoadError) {
        let old = try Bitsandbytes.method(of: fields)
        let method = try fields.string("quant_method") ?? old ?? "none"
        guard let format = Self.formats.first(where: { $0.method == method }) else {
            throw fields.unsupported(
                "quant_method", "weights quantized by \"\(method)\" are not supported",
                advice: "use an unquantized checkpoint of the model, or one quantized by "
                    + Self.formats.map { $0.method }.joined(separator: ", "))
        }
        self.format = try format.init(fields)
    }

    /// The file that a library kept its configuration in before `config.json` had it.
    static func apart(in files: ModelFiles) throws(LoadError) -> QuantizationConfiguration? {
        for format in formats {
            guard let name = format.ownFile,
                let bytes = try files.bytes(of: name, atMost: ModelConfiguration.Limit.fileBytes)
            else { continue }
            return QuantizationConfiguration(
                try format.init(JSONFields(parsing: bytes, file: files.path(of: name))))
        }
        return nil
    }

    /// Names of such files.
    static var ownFiles: [String] { formats.compactMap { $0.ownFile } }

    /// Whether it scaled the weights otherwise than those of the model that was quantized.
    var scalesInputs: Bool { type(of: format).scalesInputs }

    private init(_ format: any CheckpointFormat) { self.format = format }

    package static func == (a: Self, b: Self) -> Bool { a.format.isEqual(to: b.format) }
}
