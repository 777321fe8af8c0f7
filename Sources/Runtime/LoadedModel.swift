package import DoraLoader
import DoraTensor

/// A model ready to answer, with what was noticed and how long it took to get there.
package struct LoadedModel {
    package let settings: ModelSettings
    package let tokenizer: (any Tokenizer)?
    package let configuration: ModelConfiguration
    /// Of the base alone, before any adapter.
    package let base: WeightsSummary
    package let adapter: Adapter?
    package let merge: MergeReport?
    package let weights: ModelWeights
    package let warnings: [String]
    package let loadTime: Duration
    package let mergeTime: Duration
    private let eosIDs: [Int]
    private let compute: Compute

    /// - Throws: `LoadError`, `ComputeError`.
    package init(_ settings: ModelSettings, progress: (LoadProgress) -> Void = { _ in }) throws {
        let clock = ContinuousClock()
        let start = clock.now
        let compute = try Compute(threads: settings.threads ?? Compute.usableCores)
        var base = try BaseModel(
            folder: settings.model, quantization: settings.quantization, storage: settings.storage,
            on: compute,
            progress: progress)
        let defaults = try GenerationDefaults(folder: settings.model, configuration: base.configuration)
        tokenizer = try TokenizerFolder.load(folder: settings.model)
        let loaded = clock.now
        let adapter = try settings.adapter.map {
            try Adapter(folder: $0, fitting: base.inventory, baseName: settings.model)
        }
        self.base = WeightsSummary(base.weights)
        merge = try adapter.map { try base.adapt(by: $0, on: compute, progress: progress) }
        self.compute = compute
        self.settings = settings
        configuration = base.configuration
        self.adapter = adapter
        weights = base.weights
        eosIDs = defaults.eosIDs
        warnings = base.warnings + defaults.warnings + (merge?.warnings ?? [])
        loadTime = loaded - start
        mergeTime = clock.now - loaded
    }

    package func makeGenerator() throws -> Generator {
        try Generator(
            configuration, weights: weights, eosIDs: eosIDs, tokenizer: tokenizer,
            context: settings.context,
            halfCache: settings.isHalfCache, on: compute)
    }
}

/// How the matrices of a model are stored.
package struct WeightsSummary: Sendable {
    package let matrixBytes: Int
    package let linearFormat: String
    package let headFormat: String

    init(_ weights: ModelWeights) {
        matrixBytes = weights.matrixBytes
        linearFormat = weights.layers.first?[.query].formatName ?? "none"
        headFormat = weights.head.formatName
    }
}
