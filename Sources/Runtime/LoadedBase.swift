package import DoraLoader
package import DoraTensor

/// A base model ready to run or to be adapted, with its tokenizer and those of its adapters.
package struct LoadedBase {
    package let settings: ModelSettings
    package let languages: Languages
    package var model: BaseModel
    package let warnings: [LoadWarning]
    package let compute: Compute
    package let loadTime: Duration

    /// - Throws: `LoadError`, `ComputeError`.
    package init(_ settings: ModelSettings, progress: (LoadProgress) -> Void = { _ in }) throws {
        let clock = ContinuousClock()
        let start = clock.now
        self.settings = settings
        compute = try Compute(threads: settings.threads ?? Compute.usableCores)
        let files = try ModelFiles(settings.model, tokenizer: settings.tokenizer)
        model = try BaseModel(
            files, quantization: settings.quantization, storage: settings.storage, on: compute,
            progress: progress)
        model.acceptsOtherBase = settings.acceptsOtherBase
        let defaults = try GenerationDefaults(files, configuration: model.configuration)
        languages = try Languages(
            files, defaults: defaults, vocabularySize: model.weights.vocabularySize,
            chatTemplate: settings.chatTemplate)
        warnings = model.warnings + defaults.warnings
        loadTime = clock.now - start
    }
}
