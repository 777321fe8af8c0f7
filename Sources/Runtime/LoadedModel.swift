package import DoraLoader
import DoraTensor

/// A model ready to answer, with what was noticed and how long it took to get there.
package struct LoadedModel {
    package let settings: ModelSettings
    package let tokenizer: (any Tokenizer)?
    package let base: BaseModel
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
        let base = try BaseModel(
            folder: settings.model, quantization: settings.quantization, storage: settings.storage,
            on: compute,
            progress: progress)
        let defaults = try GenerationDefaults(folder: settings.model, configuration: base.configuration)
        tokenizer = try TokenizerFolder.load(folder: settings.model)
        let loaded = clock.now
        let adapter = try settings.adapter.map {
            try Adapter(folder: $0, fitting: base.inventory, baseName: settings.model)
        }
        let merged = try adapter.map { try base.adapted(by: $0, on: compute, progress: progress) }
        self.compute = compute
        self.settings = settings
        self.base = base
        self.adapter = adapter
        merge = merged?.report
        weights = merged?.weights ?? base.weights
        eosIDs = defaults.eosIDs
        warnings = base.warnings + defaults.warnings + (merged?.report.warnings ?? [])
        loadTime = loaded - start
        mergeTime = clock.now - loaded
    }

    package func makeGenerator() throws -> Generator {
        try Generator(
            base.configuration, weights: weights, eosIDs: eosIDs, tokenizer: tokenizer,
            context: settings.context,
            halfCache: settings.isHalfCache, on: compute)
    }
}
