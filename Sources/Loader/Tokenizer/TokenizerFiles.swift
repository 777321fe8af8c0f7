package import DoraText

/// Finds and loads the tokenizer of a model.
package enum TokenizerFiles {
    /// `tokenizer.json` wins over `tokenizer.model`; nil when the model has neither.
    ///
    /// A `tokenizer.json` says itself which tokens are added around a text (its `post_processor`), so
    /// `add_bos_token` and `add_eos_token` in `tokenizer_config.json` are not consulted for it. A `tokenizer.model` beside a
    /// configuration is what that makes of it; by itself it is what libsentencepiece makes of it, and BOS.
    ///
    /// - Parameter companions: where `tokenizer_config.json` and what belongs to it lie, if elsewhere.
    package static func load(
        _ files: ModelFiles, configuration companions: ModelFiles? = nil
    ) throws -> (any Tokenizer)? {
        let json = "tokenizer.json"
        if let bytes = try files.bytes(of: json) {
            var tokenizer = try TokenizerFile.read(bytes, file: files.path(of: json))
            let configuration = try TokenizerConfiguration(companions ?? files)
            try tokenizer.add(configuration)
            tokenizer.eosID = try configuration.token("eos_token").flatMap(tokenizer.id)
            return tokenizer
        }
        let model = "tokenizer.model"
        guard let bytes = try files.bytes(of: model) else { return nil }
        let configuration = try TokenizerConfiguration(companions ?? files)
        if configuration.isBare {
            return try SentencePieceTokenizer(
                serialized: bytes, file: files.path(of: model),
                addsBOS: try configuration.fields.bool("add_bos_token") ?? true)
        }
        return try PipelineTokenizer(
            sentencePiece: bytes, file: files.path(of: model), configuration: configuration)
    }
}

extension TokenizerConfiguration {
    /// - Throws: `LoadError` when a file cannot be read or is no JSON object.
    init(_ files: ModelFiles) throws(LoadError) {
        func read(_ name: String) throws(LoadError) -> JSONFields? {
            guard let bytes = try files.bytes(of: name) else { return nil }
            return try JSONFields(parsing: bytes, file: files.path(of: name))
        }
        let name = "tokenizer_config.json"
        let fields = try read(name) ?? JSONFields(JSONObject(), file: files.path(of: name))
        if Self.listsTokens(fields) {
            self.init(fields)
        } else {
            self.init(
                fields, specialTokens: try read("special_tokens_map.json"),
                addedTokens: try read("added_tokens.json"))
        }
    }
}
