package import DoraLoader
import DoraText
import Synchronization

/// The languages of a base and of the adapters on it: an adapter that came with a tokenizer of its own, or was trained
/// on a vocabulary of another size, has its own, the others have the base's.
package final class Languages: Sendable {
    package let base: Language
    private let defaults: GenerationDefaults?
    private let files: ModelFiles?
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

    /// - Throws: `LoadError` when the base's tokenizer cannot be read.
    package init(_ files: ModelFiles, defaults: GenerationDefaults, vocabularySize: Int) throws {
        let tokenizer = try TokenizerFiles.load(files)
        base = Language(
            tokenizer: tokenizer, vocabularySize: vocabularySize, eosIDs: defaults.ends(with: tokenizer))
        self.defaults = defaults
        self.files = files
    }

    /// One language for all.
    package init(_ base: Language) {
        self.base = base
        defaults = nil
        files = nil
    }

    /// - Throws: `LoadError` when the adapter's tokenizer cannot be read, or has tokens without a row.
    package func language(of adapter: Adapter) throws -> Language {
        let files = try files.flatMap { try AdapterTokenizerFiles(folders: adapter.folders, over: $0) }
        if files == nil && adapter.vocabularySize == base.vocabularySize { return base }
        let key = Key(tokenizer: files?.digest, vocabularySize: adapter.vocabularySize)
        if let known = own.withLock({ $0[key]?.language }) { return known }
        let tokenizer = try files.map { try $0.load() } ?? base.tokenizer
        try check(tokenizer, of: adapter)
        let language = Language(
            tokenizer: tokenizer, vocabularySize: adapter.vocabularySize,
            eosIDs: defaults?.ends(with: tokenizer) ?? base.eosIDs, digest: files?.digest)
        own.withLock { known in
            known = known.filter { $0.value.language != nil }
            known[key] = Weak(language: language)
        }
        return language
    }

    /// Tokens that the tokenizer knows and the model does not: a prompt could not be computed. A base whose own tokenizer
    /// has such tokens knows what it does.
    private func check(_ tokenizer: (any Tokenizer)?, of adapter: Adapter) throws(LoadError) {
        guard let tokenizer else { return }
        let known = max(adapter.vocabularySize, base.tokenizer?.vocabularySize ?? 0)
        guard tokenizer.vocabularySize > known else { return }
        throw LoadError(
            .mismatch, file: adapter.folder, field: "tokenizer",
            expected: "at most \(adapter.vocabularySize) tokens, as the embedding has rows",
            found: "\(tokenizer.vocabularySize)",
            advice:
                "save the adapter with the embeddings that were resized for its tokens (save_embedding_layers=True),"
                + " or serve it on a base with that many rows")
    }
}
