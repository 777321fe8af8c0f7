package import DoraTensor

extension BaseModel {
    /// Reads a folder in the Hugging Face layout and packs its matrices, or uses those of a packed file where they lie.
    ///
    /// - Parameter quantization: applied to the linear layers of a 16- or 32-bit checkpoint, `lm_head` excepted. A
    ///   checkpoint that is quantized already is refused with it.
    /// - Throws: `LoadError` naming file and tensor; `ComputeError` when memory runs out.
    package init(
        _ files: ModelFiles, quantization: Quantization? = nil, storage: StorageOptions = StorageOptions(),
        on compute: Compute, progress: (LoadProgress) -> Void = { _ in }
    ) throws {
        let configuration = try ModelConfiguration(files)
        let inventory = ModuleInventory(configuration)
        let reader = try CheckpointReader(
            files, configuration, inventory: inventory, quantization: quantization)
        let sources = try reader.sources(on: compute)
        try reader.refuseLeftovers()
        let isQuantized = storage.isQuantized(sources)
        var packed: [String: PackedMatrix] = [:]
        let linear = inventory.modules.filter { $0.kind == .linear }
        for (index, module) in linear.enumerated() {
            progress(LoadProgress(stage: "loading", done: index, total: linear.count))
            guard let source = sources[module.name] else { continue }
            let format = storage.format(of: source, as: module.name, baseIsQuantized: isQuantized)
            packed[module.name] = try source.packed(as: format, on: compute)
        }
        progress(LoadProgress(stage: "loading", done: linear.count, total: linear.count))
        self.init(
            path: files.path, name: files.baseName, configuration: configuration, inventory: inventory,
            storage: storage,
            weights: try reader.weights(configuration, sources: sources, packed: packed),
            warnings: reader.warnings
                + Self.warnings(configuration, quantization: quantization, sources: sources),
            sources: sources)
    }

    /// A checkpoint that says it is quantized and is not. Matrices that hold codes, or that `--quantize` or `dora-pack`
    /// has made, are no plain tensors; how they are stored does not matter.
    static func warnings(
        _ configuration: ModelConfiguration, quantization: Quantization?, sources: [String: any WeightSource]
    ) -> [LoadWarning] {
        let embeddings = [ModuleInventory.head, ModuleInventory.embedding]
        guard let format = configuration.quantization.map({ type(of: $0.format) }), quantization == nil,
            sources.allSatisfy({ embeddings.contains($0.key) || $0.value is DenseWeights })
        else { return [] }
        return [
            LoadWarning(
                "config.json names a \(format.method) quantization, but the weights are not quantized"
                    + (format.quantizesOnLoad ? "; to run as transformers would, give --quantize" : ""))
        ]
    }
}
