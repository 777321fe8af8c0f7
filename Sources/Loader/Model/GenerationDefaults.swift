package import DoraText

/// What ends a generation and what starts a prompt: `generation_config.json`, completed by `config.json`.
///
/// Sampling keys are ignored, as decoding is greedy. Source: transformers `generation/configuration_utils.py`.
package struct GenerationDefaults: Equatable, Sendable {
    /// Generation stops after any of these, and after the tokenizer's own (`ends(with:)`).
    package let eosIDs: [Int]
    package let bosID: Int?
    package let warnings: [LoadWarning]

    /// What ends a text that is decoded with `tokenizer`: the ids of the model, and the tokenizer's `eos_token`, which a
    /// chat format that was trained later may have changed.
    package func ends(with tokenizer: (any Tokenizer)?) -> [Int] {
        guard let eos = tokenizer?.eosID, !eosIDs.contains(eos) else { return eosIDs }
        return eosIDs + [eos]
    }

    /// Reads `generation_config.json`, which may be absent.
    package init(_ files: ModelFiles, configuration: ModelConfiguration) throws(LoadError) {
        let name = "generation_config.json"
        let bytes = try files.bytes(of: name, atMost: ModelConfiguration.Limit.fileBytes)
        try self.init(
            parsing: bytes ?? Array("{}".utf8), file: files.path(of: name), configuration: configuration)
    }

    package init(
        parsing bytes: [UInt8], file: String, configuration: ModelConfiguration
    ) throws(LoadError) {
        let fields = try JSONFields(parsing: bytes, file: file)
        let ids = 0...ModelConfiguration.Limit.vocabulary
        eosIDs = try fields.endIDs() ?? configuration.eosIDs
        bosID = try fields.int("bos_token_id", in: ids) ?? configuration.bosID
        var warnings: [LoadWarning] = []
        if let penalty = try fields.double("repetition_penalty"), penalty != 1 {
            warnings.append(
                LoadWarning(
                    "\(file): repetition_penalty: \(penalty) is not applied; transformers applies it to greedy decoding"
                ))
        }
        self.warnings = warnings
    }
}
