package import DoraText

/// A tokenizer in a GGUF file's keys: the inverse of `GGUFTokenizer`.
///
/// Source: llama.cpp `conversion/base.py`, `gguf-py/gguf/vocab.py`.
package struct GGUFTokenizerMetadata {
    package private(set) var metadata: [(key: String, value: GGUFMetadataValue)] = []
    private let files: [String: [UInt8]]
    private let place: String
    private static let prefix = GGUFVocabulary.prefix

    /// - Parameters:
    ///   - files: as they stand in a folder.
    ///   - tokenizer: what they make.
    ///   - place: where they come from, for messages.
    ///   - vocabularySize: rows of the embedding, each of which needs a token.
    ///   - ends: tokens that end a text, by `generation_config.json`.
    /// - Throws: `LoadError` `.unsupported` for a tokenizer that llama.cpp has not.
    package init(
        _ files: [(name: String, bytes: [UInt8])], tokenizer: (any Tokenizer)?, place: String,
        vocabularySize: Int, bos: Int?, ends: [Int]
    ) throws {
        self.files = Dictionary(files.map { ($0.name, $0.bytes) }) { _, last in last }
        self.place = place
        guard let tokenizer, let vocabulary = try vocabulary(count: vocabularySize) else {
            metadata = [(Self.prefix + "model", .text("no_vocab"))]
            return
        }
        metadata = vocabulary.metadata
        let configuration = try fields("tokenizer_config.json")
        let affixes = try affixes(of: tokenizer, bos: bos)
        if let bos = affixes.bos ?? bos { add("bos_token_id", .integer(bos)) }
        let eos = tokenizer.eosID ?? ends.first
        if let eos { add("eos_token_id", .integer(eos)) }
        if let turn = ends.first(where: { $0 != eos }) { add("eot_token_id", .integer(turn)) }
        for (role, key) in [("unk_token", "unknown_token_id"), ("pad_token", "padding_token_id")] {
            guard let value = configuration?[role] else { continue }
            let content = value.string ?? value.object?["content"]?.string
            if let id = content.flatMap({ vocabulary.id(of: Array($0.utf8)) }) { add(key, .integer(id)) }
        }
        add("add_bos_token", .bool(affixes.bos != nil))
        add("add_eos_token", .bool(affixes.eos != nil))
        try addTemplate(configuration)
    }

    private mutating func add(_ key: String, _ value: GGUFMetadataValue) {
        metadata.append((Self.prefix + key, value))
    }

    private func fields(_ name: String) throws(LoadError) -> JSONFields? {
        guard let bytes = files[name] else { return nil }
        return try JSONFields(parsing: bytes, file: "\(place): \(name)")
    }

    /// Nil for a model without a tokenizer.
    private func vocabulary(count: Int) throws -> GGUFTokens? {
        if let json = try fields("tokenizer.json") {
            if let tokens = try GGUFTokens(byteLevel: json, count: count) { return tokens }
            guard files["tokenizer.model"] != nil else {
                throw json.unsupported(
                    "model", "it is no byte-level BPE, and there is no tokenizer.model beside it",
                    advice: "give --tokenizer a folder with the model's tokenizer.model")
            }
            return try GGUFTokens(
                pieces: try pieces(), added: json["added_tokens"]?.array ?? [], count: count)
        }
        guard files["tokenizer.model"] != nil else { return nil }
        let added = try fields("tokenizer_config.json")?.fields("added_tokens_decoder")?.object.members ?? []
        return try GGUFTokens(
            pieces: try pieces(),
            added: added.map { id, value in
                .object((value.object ?? JSONObject()).with("id", .integer(Int(id) ?? -1)))
            }, count: count)
    }

    private func pieces() throws(LoadError) -> SentencePieceTable {
        try SentencePieceTable(files["tokenizer.model"] ?? [], file: "\(place): tokenizer.model")
    }

    /// What the tokenizer puts around a text: at most BOS before it and EOS behind it.
    private func affixes(
        of tokenizer: any Tokenizer, bos: Int?
    ) throws(LoadError) -> (bos: Int?, eos: Int?) {
        let plain = tokenizer.encode("a", addingSpecialTokens: false)
        let whole = tokenizer.encode("a", addingSpecialTokens: true)
        guard let start = whole.indices.first(where: { whole[$0...].starts(with: plain) }),
            start <= 1, whole.count - start - plain.count <= 1
        else {
            throw LoadError(
                .unsupported, file: "\(place): tokenizer.json", field: "post_processor",
                "it puts more around a text than one token on each side",
                advice: "export the model in the Hugging Face layout")
        }
        return (start == 1 ? whole[0] : nil, start + plain.count < whole.count ? whole.last : nil)
    }

    private mutating func addTemplate(_ configuration: JSONFields?) throws(LoadError) {
        let key = "tokenizer.chat_template"
        if let bytes = files["chat_template.jinja"] {
            metadata.append((key, .string(bytes)))
            return
        }
        switch configuration?["chat_template"] {
        case .string(let text): metadata.append((key, .text(text)))
        case .array(let templates):
            var names: [[UInt8]] = []
            for template in templates {
                guard let name = template.object?["name"]?.string,
                    let text = template.object?["template"]?.string
                else { continue }
                if name == "default" {
                    metadata.append((key, .text(text)))
                } else {
                    names.append(Array(name.utf8))
                    metadata.append(("\(key).\(name)", .text(text)))
                }
            }
            if !names.isEmpty { metadata.append(("tokenizer.chat_templates", .strings(names))) }
        default: break
        }
    }
}

extension MergedModel {
    /// Of the base, or the adapter's own.
    /// - Throws: `LoadError` for one that llama.cpp has not.
    package func ggufTokenizer() throws -> GGUFTokenizerMetadata {
        let folders = adapter?.folders ?? []
        let tokenizer = try PlainFiles.loadTokenizer(of: files, adapters: folders)
        let defaults = try GenerationDefaults(files, configuration: configuration)
        return try GGUFTokenizerMetadata(
            PlainFiles.all(of: files, adapters: folders, configuration: configuration),
            tokenizer: tokenizer, place: files.path, vocabularySize: inventory.vocabularySize,
            bos: defaults.bosID, ends: defaults.ends(with: tokenizer))
    }

    /// As people call the base.
    package var name: String {
        files.baseName.split(separator: "/").last.map(String.init) ?? files.baseName
    }
}
