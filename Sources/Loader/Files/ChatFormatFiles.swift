package import DoraText

/// Finds the chat template of a model or adapter: `chat_template.jinja`, then `chat_template` of
/// `tokenizer_config.json`, then `chat_template.json`.
///
/// Source: transformers `tokenization_utils_base.py`, `processing_utils.py`.
package enum ChatFormatFiles {
    static let names = ["chat_template.jinja", "chat_template.json"]
    private static let limit = 8 << 20

    /// - Parameters:
    ///   - file: of a template given by the user, which comes first.
    ///   - places: where to look, the adapter's folder before the base's.
    ///   - companions: where the tokenizer's configuration lies, which names the special tokens.
    /// - Returns: nil where there is no template.
    package static func load(
        file: String?, places: [ModelFiles], companions: ModelFiles
    ) throws(LoadError) -> ChatFormat? {
        let tokens = try specialTokens(companions)
        if let file {
            let source = try text(try MappedFile.contents(of: file, atMost: limit), file)
            return ChatFormat(ChatTemplateSet(source), source: file, specialTokens: tokens)
        }
        for place in places {
            if let (set, source) = try templates(in: place) {
                return ChatFormat(set, source: source, specialTokens: tokens)
            }
        }
        return nil
    }

    private static func templates(
        in files: ModelFiles
    ) throws(LoadError) -> (set: ChatTemplateSet, source: String)? {
        if let bytes = try files.bytes(of: names[0], atMost: limit) {
            let path = files.path(of: names[0])
            return (ChatTemplateSet(try text(bytes, path)), path)
        }
        for name in ["tokenizer_config.json", names[1]] {
            guard let bytes = try files.bytes(of: name) else { continue }
            let path = files.path(of: name)
            let fields = try JSONFields(parsing: bytes, file: path)
            guard let value = fields["chat_template"], value != .null else { continue }
            guard let set = ChatTemplateSet(value) else {
                throw LoadError(
                    .malformed, file: path, field: "chat_template",
                    expected: "a string, or a list of objects with name and template", found: "something else"
                )
            }
            return (set, path)
        }
        return nil
    }

    private static func specialTokens(_ files: ModelFiles) throws(LoadError) -> [String: String] {
        var tokens: [String: String] = [:]
        for name in ["special_tokens_map.json", "tokenizer_config.json"] {
            guard let bytes = try files.bytes(of: name) else { continue }
            let found = SpecialTokens.tokens(
                in: try JSONFields(parsing: bytes, file: files.path(of: name)).object)
            tokens.merge(found) { $1 }
        }
        return tokens
    }

    private static func text(_ bytes: [UInt8], _ path: String) throws(LoadError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw LoadError(.malformed, file: path, "the template is not valid UTF-8")
        }
        return text
    }
}
