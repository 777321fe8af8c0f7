/// Finds and loads the tokenizer of a model.
package enum TokenizerFiles {
    /// `tokenizer.json` wins over `tokenizer.model`; nil when the model has neither.
    ///
    /// A `tokenizer.json` says itself which tokens are added around a text (its `post_processor`), so
    /// `add_bos_token` and `add_eos_token` in `tokenizer_config.json` are not consulted for it. Beside a bare
    /// `tokenizer.model` an `add_bos_token` of false is honoured.
    package static func load(_ files: ModelFiles) throws -> (any Tokenizer)? {
        let json = "tokenizer.json"
        if let bytes = try files.bytes(of: json) {
            return try TokenizerFile.read(bytes, file: files.path(of: json))
        }
        let model = "tokenizer.model"
        guard let bytes = try files.bytes(of: model) else { return nil }
        return try SentencePieceTokenizer(
            serialized: bytes, file: files.path(of: model), addsBOS: try addsBOS(files))
    }

    private static func addsBOS(_ files: ModelFiles) throws -> Bool {
        let name = "tokenizer_config.json"
        guard let bytes = try files.bytes(of: name) else { return true }
        let root = try JSONComponent(parsing: bytes, file: files.path(of: name))
        return try root.bool("add_bos_token", absent: true)
    }
}
