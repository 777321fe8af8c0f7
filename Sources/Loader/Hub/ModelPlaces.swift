package import DoraText
import Glibc

/// Turns what a user calls a model or an adapter into the path of its files: what is there under that path, else what
/// the Hugging Face cache holds under that id. Nothing is downloaded.
package struct ModelPlaces: Sendable {
    package let cache: HubCache
    private let ollama: OllamaStore

    package init(_ cache: HubCache, ollama: OllamaStore = OllamaStore([])) {
        self.cache = cache
        self.ollama = ollama
    }

    package init(environment: [String: String]) {
        self.init(HubCache(environment: environment), ollama: OllamaStore(environment: environment))
    }

    /// The id that a text means: none where a file or folder of that name is there.
    package static func hubID(_ text: String) -> HubID? { Folder(text).isThere ? nil : HubID(text) }

    /// A base model: a folder or a packed file. What is neither there nor an id stays as it is, for those who open it.
    /// - Throws: `LoadError` with the command that fetches what the cache lacks.
    package func base(_ text: String) throws(LoadError) -> String {
        if let name = ollamaName(text) { return try ollama.model(name).path }
        guard let id = Self.hubID(text) else { return text }
        return try base(id)
    }

    /// What is worth saying of a base that was found under a name of Ollama's; nil for any other.
    package func remark(onBase text: String) throws(LoadError) -> String? {
        guard let name = ollamaName(text) else { return nil }
        let others = try ollama.model(name).otherLayers
        return others.isEmpty ? text : "\(text); not used: its \(others.joined(separator: ", "))"
    }

    private func ollamaName(_ text: String) -> String? {
        Folder(text).isThere ? nil : OllamaStore.name(in: text)
    }

    /// A tokenizer: a folder or file that holds one, or the snapshot of an id, which need hold nothing else.
    package func tokenizer(_ text: String) throws(LoadError) -> String {
        guard let id = Self.hubID(text) else { return text }
        return try cache.snapshot(id)
    }

    func base(_ id: HubID) throws(LoadError) -> String {
        let folder = Folder(try cache.snapshot(id))
        // What is no base at all is called what it is by those who open it.
        let kind = FolderKind(folder)
        let isWhole = try isWhole(folder)
        if !isWhole && (kind == nil || kind == .base) {
            throw HubCache.missing(
                id, file: folder.path, "only a part of this model is in the Hugging Face cache")
        }
        return folder.path
    }

    /// An adapter's folder: the one given, or the only one in it, as trainers leave them.
    /// - Throws: `LoadError`, also when there are several to choose from.
    package func adapter(_ text: String) throws(LoadError) -> String {
        guard let id = Self.hubID(text) else { return try AdapterFolder.find(text) }
        return try AdapterFolder.find(cache.snapshot(id))
    }

    /// `hf download` with a pattern, or interrupted, leaves a part.
    private func isWhole(_ folder: Folder) throws(LoadError) -> Bool {
        guard folder.contains("config.json") else { return false }
        let index = folder.file("model.safetensors.index.json")
        if !folder.contains("model.safetensors"), access(index, F_OK) == 0 {
            let bytes = try MappedFile.contents(of: index, atMost: Checkpoint.indexLimit)
            return try ShardIndex(parsing: bytes, file: index).shards.allSatisfy(folder.contains)
        }
        return try folder.names().contains { $0.hasSuffix(".safetensors") || $0.hasSuffix(".bin") }
    }
}
