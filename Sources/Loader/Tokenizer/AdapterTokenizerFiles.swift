import Crypto
package import DoraText

/// The tokenizer that a trainer saved beside an adapter, where it is not the base's: added tokens, another end of turn,
/// another chat template.
package struct AdapterTokenizerFiles: Sendable {
    /// Where the vocabulary lies: with the adapter, or, if it brings none, with the base.
    let vocabulary: ModelFiles
    /// Where `tokenizer_config.json` and what belongs to it lie.
    let configuration: ModelFiles
    /// The adapter's folder, then the base: where a chat template is looked for.
    let places: [ModelFiles]
    /// Equal for equal files.
    package let digest: String
    /// Of the files together.
    package let byteCount: Int

    private static let vocabularies = ModelFiles.vocabularyNames
    private static let companions = [
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    ]
    /// With its own vocabulary or one of these, an adapter's configuration counts and the base's does not.
    private static let configurations = ["tokenizer_config.json", "special_tokens_map.json"]

    /// That of an adapter, or of several that are added up.
    /// - Throws: `LoadError` when a file cannot be read, or they differ.
    package init?(folders: [String], over base: ModelFiles) throws(LoadError) {
        var all: [AdapterTokenizerFiles?] = []
        for folder in folders { all.append(try AdapterTokenizerFiles(folder: folder, over: base)) }
        guard let first = all.first else { return nil }
        guard all.allSatisfy({ $0?.digest == first?.digest }) else {
            throw LoadError(
                .unsupported, file: folders.joined(separator: "+"), field: "tokenizer",
                "the adapters came with different tokenizers, and one prompt has one",
                advice: "serve them by themselves")
        }
        guard let first else { return nil }
        self = first
    }

    /// Nil if the folder holds no such file, or the very bytes of the base's.
    /// - Throws: `LoadError` when a file cannot be read.
    init?(folder path: String, over base: ModelFiles) throws(LoadError) {
        let folder = ModelFiles.folder(Folder(path))
        var hash = SHA256()
        var isOwn = false
        var byteCount = 0
        var hasVocabulary = false
        var hasConfiguration = false
        for name in Self.vocabularies + Self.companions + ChatFormatFiles.names {
            guard let bytes = try folder.bytes(of: name) else { continue }
            if Self.vocabularies.contains(name) { hasVocabulary = true }
            if Self.configurations.contains(name) { hasConfiguration = true }
            if try base.bytes(of: name) != bytes { isOwn = true }
            byteCount += bytes.count
            hash.update(data: Array(name.utf8))
            hash.update(data: SHA256.hash(data: bytes).map { $0 })
        }
        guard isOwn else { return nil }
        vocabulary = hasVocabulary ? folder : base
        configuration = hasVocabulary || hasConfiguration ? folder : base
        places = [folder, base]
        self.byteCount = byteCount
        digest = hash.finalize().hexadecimal
    }

    /// - Parameter file: of a template that comes before all others.
    package func chatFormat(file: String?) throws(LoadError) -> ChatFormat? {
        try ChatFormatFiles.load(file: file, places: places, companions: configuration)
    }

    /// - Throws: `LoadError` when the files are no tokenizer, or one that is not supported.
    package func load() throws -> (any Tokenizer)? {
        try TokenizerFiles.load(vocabulary, configuration: configuration)
    }
}
