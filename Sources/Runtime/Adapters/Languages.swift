package import DoraLoader
import DoraText
import Synchronization

/// The languages of a base and of the adapters on it: an adapter that came with a tokenizer or a chat template of its
/// own, or was trained on a vocabulary of another size, has its own, the others have the base's.
package final class Languages: Sendable {
    package let base: Language
    private let defaults: GenerationDefaults?
    private let files: ModelFiles?
    /// File of a template that stands for all others.
    private let chatTemplate: String?
    /// Those of adapters, while any generation uses them.
    private let own = Mutex<[Key: Weak]>([:])

    private struct Key: Hashable {
        /// Nil for the base's tokenizer.
        let tokenizer: String?
        let vocabularySize: Int
    }

    private struct Weak: Sendable {
        weak let language: Language?
    }

    /// - Parameters:
    ///   - defaults: nil where nothing is to be generated.
    ///   - vocabularySize: rows of the base's embedding.
    /// - Throws: `LoadError` when the base's tokenizer cannot be read.
    package init(
        _ files: ModelFiles, defaults: GenerationDefaults?, vocabularySize: Int, chatTemplate: String? = nil
    ) throws {
        let tokenizer = try TokenizerFiles.load(files)
        base = Language(
            tokenizer: tokenizer,
            chat: try ChatFormatFiles.load(file: chatTemplate, places: [files], companions: files),
            vocabularySize: vocabularySize, eosIDs: defaults?.ends(with: tokenizer) ?? [])
        self.defaults = defaults
        self.files = files
        self.chatTemplate = chatTemplate
    }

    /// One language for all.
    package init(_ base: Language) {
        self.base = base
        defaults = nil
        files = nil
        chatTemplate = nil
    }

    /// - Throws: `LoadError` when the adapter's tokenizer cannot be read, or has tokens without a row.
    package func language(of adapter: Adapter) throws -> Language {
        try language(ofAdapterIn: adapter.folders, vocabularySize: adapter.vocabularySize)
    }

    /// - Parameter folders: of an adapter, or of several that are added up.
    package func language(ofAdapterIn folders: [String], vocabularySize: Int) throws -> Language {
        guard let files else { return base }
        let own = try AdapterTokenizerFiles(folders: folders, over: files)
        if own == nil && vocabularySize == base.vocabularySize { return base }
        let key = Key(tokenizer: own?.digest, vocabularySize: vocabularySize)
        if let known = self.own.withLock({ $0[key]?.language }) { return known }
        let tokenizer = try own.map { try $0.load() } ?? base.tokenizer
        try check(tokenizer, of: folders, vocabularySize: vocabularySize)
        let language = Language(
            tokenizer: tokenizer,
            chat: try own.map { try $0.chatFormat(file: chatTemplate) } ?? base.chat,
            vocabularySize: vocabularySize, eosIDs: defaults?.ends(with: tokenizer) ?? base.eosIDs,
            digest: own?.digest, fileBytes: own?.byteCount ?? 0)
        self.own.withLock { known in
            known = known.filter { $0.value.language != nil }
            known[key] = Weak(language: language)
        }
        return language
    }

    /// Tokens that the tokenizer knows and the model does not: a prompt could not be computed. A base whose own tokenizer
    /// has such tokens knows what it does; an adapter that cut rows off does not.
    private func check(
        _ tokenizer: (any Tokenizer)?, of folders: [String], vocabularySize: Int
    ) throws(LoadError) {
        guard let tokenizer else { return }
        let own = base.tokenizer?.neededRows ?? 0
        let known = vocabularySize < base.vocabularySize ? vocabularySize : max(vocabularySize, own)
        guard tokenizer.neededRows > known else { return }
        throw LoadError(
            .mismatch, file: folders.joined(separator: "+"), field: "tokenizer",
            expected: "at most \(vocabularySize) tokens, as the embedding has rows",
            found: "\(tokenizer.neededRows)",
            advice:
                "save the adapter with the embeddings that were resized for its tokens (save_embedding_layers=True),"
                + " or serve it on a base with that many rows")
    }
}
