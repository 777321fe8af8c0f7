import DoraText

/// The small files of a model that stands by itself: how it generates, its tokenizer and its chat template, those of the
/// adapter where it brought its own.
package enum PlainFiles {
    private static let configuration = "tokenizer_config.json"
    private static let vocabularies =
        ModelFiles.vocabularyNames + ["vocab.json", "merges.txt", "spiece.model", "added_tokens.json"]
    private static let companions = [configuration, "special_tokens_map.json"]
    private static let generation = "generation_config.json"

    /// - Parameter adapters: folders of the adapter, or of several that are added up.
    /// - Returns: names in a folder, each once, with the bytes.
    /// - Throws: `LoadError` when a file cannot be read or several adapters disagree.
    package static func all(
        of files: ModelFiles, adapters: [String], configuration: ModelConfiguration
    ) throws -> [(name: String, bytes: [UInt8])] {
        let own = try AdapterTokenizerFiles(folders: adapters, over: files)
        var found = try tokenizer(own, files)
        if let bytes = try generation(files, configuration, tokenizer: own) {
            found.append((generation, bytes))
        }
        return found
    }

    /// The tokenizer and template that an adapter came with, if any.
    package static func ofAdapter(
        _ adapter: Adapter, over files: ModelFiles
    ) throws -> [(name: String, bytes: [UInt8])] {
        guard let own = try AdapterTokenizerFiles(folders: adapter.folders, over: files) else { return [] }
        return try tokenizer(own, files)
    }

    /// The tokenizer that the files make.
    static func loadTokenizer(of files: ModelFiles, adapters: [String]) throws -> (any Tokenizer)? {
        let own = try AdapterTokenizerFiles(folders: adapters, over: files)
        return try own.map { try $0.load() } ?? TokenizerFiles.load(files)
    }

    private static func tokenizer(
        _ own: AdapterTokenizerFiles?, _ files: ModelFiles
    ) throws -> [(name: String, bytes: [UInt8])] {
        let vocabulary = own?.vocabulary ?? files
        let companion = own?.configuration ?? files
        var found: [(name: String, bytes: [UInt8])] = []
        for name in vocabularies {
            if let bytes = try vocabulary.bytes(of: name) { found.append((name, bytes)) }
        }
        for name in companions {
            if let bytes = try companion.bytes(of: name) { found.append((name, bytes)) }
        }
        try addTemplate(of: own?.places ?? [files], companion: companion, to: &found)
        return found
    }

    /// transformers takes `chat_template.jinja` before what the tokenizer's configuration says, wherever either came from,
    /// and reads `chat_template.json` for no tokenizer; so a template of another place or kind goes into the configuration.
    private static func addTemplate(
        of places: [ModelFiles], companion: ModelFiles, to found: inout [(name: String, bytes: [UInt8])]
    ) throws {
        for place in places {
            let jinja = ChatFormatFiles.names[0]
            if let bytes = try place.bytes(of: jinja) {
                found.append((jinja, bytes))
                return
            }
            for name in [configuration, ChatFormatFiles.names[1]] {
                guard let bytes = try place.bytes(of: name) else { continue }
                let fields = try JSONFields(parsing: bytes, file: place.path(of: name))
                guard let template = fields["chat_template"] else { continue }
                let index = found.firstIndex { $0.name == configuration }
                let own = try index.map { index throws(LoadError) in
                    try JSONFields(
                        parsing: found[index].bytes, file: companion.path(of: configuration)
                    ).object
                }
                if own?["chat_template"] == template { return }
                let changed = (own ?? JSONObject()).with("chat_template", template)
                if let index { found.remove(at: index) }
                found.append((configuration, Array(JSONValue.object(changed).indented.utf8)))
                return
            }
        }
    }

    /// With the end of a turn that the adapter was trained with.
    private static func generation(
        _ files: ModelFiles, _ configuration: ModelConfiguration, tokenizer own: AdapterTokenizerFiles?
    ) throws -> [UInt8]? {
        let stored = try files.bytes(of: generation, atMost: ModelConfiguration.Limit.fileBytes)
        guard let own else { return stored }
        let defaults = try GenerationDefaults(files, configuration: configuration)
        let ends = defaults.ends(with: try own.load())
        if ends == defaults.eosIDs { return stored }
        let fields = try JSONFields(
            parsing: stored ?? Array("{}".utf8), file: files.path(of: generation))
        let changed = fields.object.with("eos_token_id", .array(ends.map { .integer($0) }))
        return Array(JSONValue.object(changed).indented.utf8)
    }
}
