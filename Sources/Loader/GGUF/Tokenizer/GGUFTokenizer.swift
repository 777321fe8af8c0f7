import DoraText

/// The tokenizer of a GGUF file in the form of the files that one is read from elsewhere: SentencePiece's
/// `tokenizer.model`, or a byte-level `tokenizer.json`, and the `tokenizer_config.json` beside it.
///
/// The reference is llama.cpp on the same file: it cuts texts as the file says, where transformers rebuilds the tokenizer
/// of the model's class.
struct GGUFTokenizer {
    private enum Model: String {
        case sentencePiece = "llama"
        case byteLevel = "gpt2"
    }

    private let file: GGUFFile
    private let model: Model
    private static let prefix = GGUFVocabulary.prefix

    /// Nil for a file without a tokenizer.
    /// - Throws: `LoadError` `.unsupported` for a model of another kind.
    init?(_ file: GGUFFile) throws(LoadError) {
        let key = Self.prefix + "model"
        guard let name = try file.string(key), name != "no_vocab" else { return nil }
        guard let model = Model(rawValue: name) else {
            throw LoadError(
                .unsupported, file: file.path, field: key, "tokenizers of kind \"\(name)\" are not read",
                advice: "give the tokenizer of the model's Hugging Face version: --tokenizer DIR")
        }
        self.file = file
        self.model = model
    }

    /// `tokenizer.json`.
    func pipeline() throws(LoadError) -> [UInt8]? {
        guard model == .byteLevel else { return nil }
        let cutting = try cutting()
        let vocabulary = try GGUFVocabulary(file)
        return try ByteLevelFile(
            vocabulary, cutting: cutting, before: addsBOS(cutting) ? vocabulary.id("bos") : nil,
            after: addsEOS() ? vocabulary.id("eos") : nil
        ).bytes()
    }

    /// `tokenizer.model`.
    func pieces() throws(LoadError) -> [UInt8]? {
        guard model == .sentencePiece else { return nil }
        return try PieceFile(GGUFVocabulary(file)).bytes()
    }

    /// `tokenizer_config.json`.
    func configuration() throws(LoadError) -> [UInt8] {
        var members = Members()
        let vocabulary = try GGUFVocabulary(file)
        let roles = [("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")]
        for (role, name) in roles {
            guard let id = try vocabulary.id(role) else { continue }
            members[name + "_token"] = .string(String(decoding: vocabulary.tokens[id], as: UTF8.self))
        }
        if model == .sentencePiece {
            members["add_bos_token"] = .bool(try addsBOS(nil))
            members["add_eos_token"] = .bool(try addsEOS())
            members["add_prefix_space"] = .bool(false)
            members["add_space_prefix"] = .bool(try file.bool(Self.prefix + "add_space_prefix") ?? true)
        }
        if let tokens = try strippingTokens(vocabulary) { members["added_tokens_decoder"] = tokens }
        if let template = try chatTemplate() { members["chat_template"] = template }
        return Array(members.value.text.utf8)
    }

    /// The tokens of Phi 3 that take the white space behind them along, which its files cannot say.
    private func strippingTokens(_ vocabulary: GGUFVocabulary) throws(LoadError) -> JSONValue? {
        let name = try file.string("general.name")?.lowercased() ?? ""
        guard model == .sentencePiece, name.contains("phi-3") || name.contains("phi3") else { return nil }
        let others = ["<unk>", "<s>", "<|endoftext|>"].map { Array($0.utf8) }
        var tokens = Members()
        for (id, token) in vocabulary.tokens.enumerated() where vocabulary.kinds[id].isAdded {
            var members = Members()
            members["content"] = .string(String(decoding: token, as: UTF8.self))
            members["rstrip"] = .bool(!others.contains(token))
            members["normalized"] = .bool(false)
            members["special"] = .bool(vocabulary.kinds[id] != .userDefined)
            tokens["\(id)"] = members.value
        }
        return tokens.value
    }

    private func addsBOS(_ cutting: TextCutting?) throws(LoadError) -> Bool {
        try file.bool(Self.prefix + "add_bos_token") ?? cutting?.addsBOS ?? true
    }

    private func addsEOS() throws(LoadError) -> Bool { try file.bool(Self.prefix + "add_eos_token") ?? false }

    private func cutting() throws(LoadError) -> TextCutting {
        let key = Self.prefix + "pre"
        let advice = "give the tokenizer of the model's Hugging Face version: --tokenizer DIR"
        guard let name = try file.string(key) else {
            throw LoadError(
                .unsupported, file: file.path, field: key,
                "the file does not say how its tokenizer cuts texts",
                advice: advice)
        }
        guard let cutting = TextCutting.named(name) else {
            throw LoadError(
                .unsupported, file: file.path, field: key,
                "tokenizers that cut texts as \"\(name)\" are not known",
                advice: advice)
        }
        return cutting
    }

    /// The default template, or all of them by name.
    private func chatTemplate() throws(LoadError) -> JSONValue? {
        let key = "tokenizer.chat_template"
        let template = try file.string(key)
        guard let names = try file.strings("tokenizer.chat_templates"), !names.isEmpty else {
            return template.map { .string($0) }
        }
        var templates: [(String, String)] = template.map { [("default", $0)] } ?? []
        for bytes in names {
            let name = String(decoding: bytes, as: UTF8.self)
            if let template = try file.string("\(key).\(name)") { templates.append((name, template)) }
        }
        return .array(
            templates.map { name, template in
                var members = Members()
                members["name"] = .string(name)
                members["template"] = .string(template)
                return members.value
            })
    }
}
