/// Finds and loads the tokenizer of a model folder.
package enum TokenizerFolder {
    /// `tokenizer.json` wins over `tokenizer.model`; nil when the folder has neither.
    ///
    /// A `tokenizer.json` says itself which tokens are added around a text (its `post_processor`), so
    /// `add_bos_token` and `add_eos_token` in `tokenizer_config.json` are not consulted for it. Beside a bare
    /// `tokenizer.model` an `add_bos_token` of false is honoured.
    package static func load(folder: String) throws -> (any Tokenizer)? {
        let json = path(folder, "tokenizer.json")
        if let bytes = try FileBytes.read(json) {
            return try TokenizerFile.read(bytes, file: json)
        }
        let model = path(folder, "tokenizer.model")
        guard let bytes = try FileBytes.read(model) else { return nil }
        let addsBOS = try addsBOS(config: path(folder, "tokenizer_config.json"))
        return try SentencePieceTokenizer(serialized: bytes, file: model, addsBOS: addsBOS)
    }

    private static func path(_ folder: String, _ name: String) -> String {
        folder.utf8.last == UInt8(ascii: "/") ? folder + name : "\(folder)/\(name)"
    }

    private static func addsBOS(config path: String) throws -> Bool {
        guard let bytes = try FileBytes.read(path) else { return true }
        let root = try JSONComponent(parsing: bytes, file: path)
        return try root.bool("add_bos_token", absent: true)
    }
}
