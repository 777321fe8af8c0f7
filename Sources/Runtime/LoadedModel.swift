package import DoraLoader
import DoraTensor
package import DoraText

/// A model ready to answer, with what was noticed and how long it took to get there.
package struct LoadedModel {
    package let settings: ModelSettings
    package let language: Language
    package let configuration: ModelConfiguration
    /// Of the base alone, before any adapter.
    package let base: WeightsSummary
    package let adapter: Adapter?
    package let merge: MergeReport?
    package let weights: ModelWeights
    package let warnings: [LoadWarning]
    package let loadTime: Duration
    package let mergeTime: Duration
    private let compute: Compute

    /// - Throws: `LoadError`, `ComputeError`.
    package init(_ settings: ModelSettings, progress: (LoadProgress) -> Void = { _ in }) throws {
        var loaded = try LoadedBase(settings, progress: progress)
        let clock = ContinuousClock()
        let start = clock.now
        let adapter = try settings.adapter.map {
            try AdapterSum($0).load(
                fitting: loaded.model.inventory, baseName: loaded.model.name,
                isBaseRequired: loaded.model.isBaseRequired)
        }
        language = try adapter.map(loaded.languages.language) ?? loaded.languages.base
        base = WeightsSummary(loaded.model.weights)
        merge = try adapter.map { try loaded.model.adapt(by: $0, on: loaded.compute, progress: progress) }
        mergeTime = clock.now - start
        compute = loaded.compute
        self.settings = settings
        self.adapter = adapter
        configuration = loaded.model.configuration
        weights = loaded.model.weights
        warnings = loaded.warnings + (merge?.warnings ?? [])
        loadTime = loaded.loadTime
    }

    package var tokenizer: (any Tokenizer)? { language.tokenizer }

    /// How keys and values are cached, by the option's name for it.
    package var keyValueFormat: String { settings.keyValueFormat.rawValue }

    package func makeGenerator() throws -> Generator {
        try Generator(
            configuration, weights: weights, eosIDs: language.eosIDs, tokenizer: language.tokenizer,
            context: settings.context,
            keyValues: settings.keyValueFormat, secondTerms: settings.activations.secondTerms,
            guesses: settings.guesses, on: compute)
    }
}

/// How the matrices of a model are stored.
package struct WeightsSummary: Sendable {
    package let matrixBytes: Int
    /// Of the layers' matrices; where there are several, each with its number of matrices, the most first.
    package let linearFormat: String
    package let headFormat: String

    init(_ weights: ModelWeights) {
        matrixBytes = weights.matrixBytes
        let names = weights.layers.flatMap { $0.matrices.map(\.format.name) }
        let counts = Dictionary(grouping: names) { $0 }.mapValues(\.count)
            .sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        linearFormat =
            counts.count < 2
            ? counts.first?.key ?? "none" : counts.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        headFormat = weights.head.formatName
    }
}
