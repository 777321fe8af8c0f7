/// What `tokenizer_config.json`, completed by `special_tokens_map.json`, says of a tokenizer beside its vocabulary.
///
/// Source: transformers `tokenization_utils_base.py`, `_from_pretrained`: `special_tokens_map.json` is read, and wins,
/// only where the configuration has no `added_tokens_decoder`.
struct TokenizerConfiguration: Sendable {
    static let name = "tokenizer_config.json"
    static let specialTokensName = "special_tokens_map.json"

    let fields: JSONFields
    private let specialTokens: JSONFields?

    /// Both files may be absent.
    init(_ files: ModelFiles) throws(LoadError) {
        fields = try Self.fields(of: Self.name, in: files) ?? JSONFields(JSONObject(), file: files.path)
        specialTokens =
            fields["added_tokens_decoder"] == nil
            ? try Self.fields(of: Self.specialTokensName, in: files) : nil
    }

    /// The text of a token with a role, as `eos_token`: a string, or an object with its `content`. Nil where no file
    /// names one.
    func token(_ role: String) throws(LoadError) -> String? {
        for fields in [specialTokens, fields] {
            guard let fields, let value = fields[role] else { continue }
            if let object = value.object {
                let token = JSONFields(object, file: fields.file, prefix: "\(fields.path(role)).")
                guard let content = try token.string("content") else { throw token.missing("content") }
                return content
            }
            guard let text = value.string else {
                throw fields.mismatch(role, expected: "a string or an object", value)
            }
            return text
        }
        return nil
    }

    private static func fields(of name: String, in files: ModelFiles) throws(LoadError) -> JSONFields? {
        guard let bytes = try files.bytes(of: name) else { return nil }
        return try JSONFields(parsing: bytes, file: files.path(of: name))
    }
}
