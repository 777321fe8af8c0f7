import Crypto
package import DoraText

/// A PEFT adapter read from its folder and checked against the model that it is to change.
///
/// Every tensor of its file is in here exactly once; an adapter of which a part would have to be left out is
/// refused. Values are upcast to F32, as PEFT does on loading. Nothing of it is left on disk: its files may change.
package struct Adapter: Sendable {
    package let folder: String
    package let configuration: AdapterConfiguration
    /// SHA-256 over the digests of the configuration and of the weights, in hexadecimal: equal for equal adapters.
    package internal(set) var digest: String
    /// By module, e.g. `model.layers.0.self_attn.q_proj`.
    package internal(set) var updates: [String: any WeightUpdate]
    /// Full tensors in place of the base's, by the base tensor's name, e.g. `lm_head.weight`, `model.norm.weight`,
    /// `….q_proj.bias`: from `modules_to_save`, trained biases, and the copies of embeddings that PEFT saves
    /// beside their factors. The update of a module, if any, applies on top. Shapes equal the base's.
    package internal(set) var replacements: [String: TensorView]
    /// By embedding module. In a tied model the rows of `model.embed_tokens` also replace those of `lm_head`.
    package let tokenRows: [String: TokenRows]
    /// The base's modules, with the number of tokens that the adapter was trained on.
    package let inventory: ModuleInventory
    package internal(set) var warnings: [LoadWarning]
    /// Where tokenizers that came with it lie.
    package internal(set) var folders: [String]

    /// Tokens that the adapted model knows.
    package var vocabularySize: Int { inventory.vocabularySize }

    /// - Parameters:
    ///   - baseName: the base's name or folder; when it differs from the one in the configuration, a warning says so.
    ///   - isBaseRequired: refuses it instead.
    /// - Throws: `LoadError`, naming file and key or tensor.
    package init(
        folder path: String, fitting inventory: ModuleInventory, baseName: String?,
        isBaseRequired: Bool = false
    ) throws(LoadError) {
        let folder = Folder(path)
        // Read once: the digest must be that of the configuration in use, even if the file changes now.
        let file = try AdapterConfiguration.path(in: folder)
        let bytes = try MappedFile.contents(of: file, atMost: ModelConfiguration.Limit.fileBytes)
        let configuration = try AdapterConfiguration(parsing: bytes, file: file)
        var matching = try ModuleMatching(configuration)
        let tensors = try AdapterTensors(
            folder, of: type(of: configuration.method).vocabulary, fitting: inventory)
        matching.spelling = tensors.spelling
        let vocabularySize = try AdapterAssembly.vocabularySize(tensors, configuration, inventory)
        let assembly = AdapterAssembly(
            configuration: configuration, matching: matching, tensors: tensors,
            inventory: inventory.resized(vocabularySize: vocabularySize),
            baseVocabularySize: inventory.vocabularySize)
        if isBaseRequired { try assembly.checkBase(baseName) }
        self.folder = path
        self.configuration = configuration
        updates = try assembly.updates()
        replacements = try assembly.replacements()
        tokenRows = try assembly.tokenRows()
        try assembly.checkRows(replacements, tokenRows)
        var hash = SHA256()
        hash.update(data: SHA256.hash(data: bytes).map { $0 })
        hash.update(data: tensors.digest.value.map { $0 })
        digest = hash.finalize().hexadecimal
        self.inventory = assembly.inventory
        folders = [path]
        warnings =
            configuration.warnings + assembly.warnings(baseName: baseName)
            + Self.effectWarning(
                updates, file: tensors.path, isAll: replacements.isEmpty && tokenRows.isEmpty)
    }
}

/// Rows that take the place of rows of an embedding.
package struct TokenRows: Equatable, Sendable {
    /// Token ids, one a row, all different.
    package let indices: [Int]
    /// `[indices.count, hidden]`
    package let rows: [Float]
}

extension Adapter {
    /// The digest of the adapter together with that of the tokenizer that came with it, if any.
    package func digest(withTokenizer tokenizer: String?) -> String {
        guard let tokenizer else { return digest }
        return SHA256.hash(data: Array((digest + tokenizer).utf8)).hexadecimal
    }

    /// Says that an adapter is untrained, or was emptied by a save; all tensors are there and none does anything.
    private static func effectWarning(
        _ updates: [String: any WeightUpdate], file: String, isAll: Bool
    ) -> [LoadWarning] {
        let isTrained = updates.values.contains { !$0.addsNothing || $0.rank == 0 && $0.hasMagnitude }
        guard !updates.isEmpty, !isTrained else { return [] }
        let hasMagnitude = updates.values.contains { $0.hasMagnitude }
        let rest =
            hasMagnitude
            ? "only its magnitudes act" : isAll ? "answers are the base's" : "only what it replaces acts"
        return [
            LoadWarning(
                "\(file): its \(updates.count) updates add nothing, all of them zero or neutral"
                    + " (untrained, or lost in a sharded save): \(rest)")
        ]
    }

    /// What the adapter holds, for people.
    package var summary: AdapterSummary {
        AdapterSummary(
            baseModelName: configuration.baseModelName, usesDoRA: configuration.usesDoRA,
            ranks: updates.mapValues(\.rank), replacements: replacements.keys.sorted(),
            tokenRows: tokenRows.values.reduce(0) { $0 + $1.indices.count }, byteCount: byteCount)
    }

    /// Bytes of memory and mapped files that the adapter's numbers take.
    private var byteCount: Int {
        updates.values.reduce(0) { $0 + $1.byteCount }
            + tokenRows.values.reduce(0) { $0 + $1.rows.count } * MemoryLayout<Float>.size
            + replacements.values.reduce(0) { $0 + $1.byteCount }
    }
}

package struct AdapterSummary: Equatable, Sendable {
    package let baseModelName: String?
    package let usesDoRA: Bool
    /// The rank of every adapted module.
    package let ranks: [String: Int]
    /// Names of the base tensors that are replaced, sorted.
    package let replacements: [String]
    package let tokenRows: Int
    package let byteCount: Int
}

extension SHA256Digest {
    var hexadecimal: String {
        map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
