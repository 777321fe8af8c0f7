package import DoraLoader
package import DoraTensor

/// A base model ready to run or to be adapted, with its tokenizer.
package struct LoadedBase {
    package let settings: ModelSettings
    package let tokenizer: (any Tokenizer)?
    package var model: BaseModel
    package let defaults: GenerationDefaults
    package let warnings: [LoadWarning]
    package let compute: Compute
    package let loadTime: Duration

    /// - Throws: `LoadError`, `ComputeError`.
    package init(_ settings: ModelSettings, progress: (LoadProgress) -> Void = { _ in }) throws {
        let clock = ContinuousClock()
        let start = clock.now
        self.settings = settings
        compute = try Compute(threads: settings.threads ?? Compute.usableCores)
        let files = try ModelFiles(settings.model)
        model = try BaseModel(
            files, quantization: settings.quantization, storage: settings.storage, on: compute,
            progress: progress)
        defaults = try GenerationDefaults(files, configuration: model.configuration)
        tokenizer = try TokenizerFiles.load(files)
        warnings = model.warnings + defaults.warnings
        loadTime = clock.now - start
    }

    /// What ends an answer of the base.
    package var eosIDs: [Int] { defaults.ends(with: tokenizer) }
}
