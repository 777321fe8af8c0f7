import DoraTensor
package import DoraText

/// What an adapter changes of a base: which modules, from which weights, into which formats.
struct AdaptedModules {
    private let sources: AdaptedSources
    private let storage: StorageOptions
    /// How the base's own head is stored.
    private let headFormat: MatrixFormat

    init(of adapter: Adapter, in base: BaseModel) {
        sources = AdaptedSources(
            of: adapter, over: base.sources, inventory: base.inventory, file: base.path)
        storage = base.storage
        headFormat = base.weights.head.matrix.format
    }

    var adapter: Adapter { sources.adapter }

    /// Linear modules that the adapter changes, in the order of the forward pass.
    var linear: [ModuleInventory.Module] {
        adapter.inventory.modules.filter { $0.kind == .linear && changes($0) }
    }

    func changes(_ module: ModuleInventory.Module) -> Bool { sources.changes(module) }

    func isReplaced(_ module: ModuleInventory.Module) -> Bool { sources.isReplaced(module) }

    /// What the update is added to.
    func source(_ module: ModuleInventory.Module) throws(LoadError) -> any WeightSource {
        try sources.source(module)
    }

    /// Of a merged module, in the order in which they are tried.
    func formats(of module: ModuleInventory.Module) throws(LoadError) -> [MatrixFormat] {
        let native =
            module.name == ModuleInventory.head ? headFormat : try sources.base(module.name).nativeFormat
        return storage.mergedFormats(
            of: module.name, over: native, isUpdate: adapter.updates[module.name] != nil)
    }

    /// The update of a module whose base matrix stays as it is, if the update can act beside it.
    func factors(of module: ModuleInventory.Module) -> LowRankUpdate? {
        guard module.kind == .linear, !isReplaced(module) else { return nil }
        return adapter.updates[module.name]?.lowRank
    }

    /// Whether factors are kept in 16 bits.
    var hasHalfFactors: Bool { storage.hasHalfFactors }

    /// Bytes that a linear module will take, merged in the first of its formats or factored.
    func plannedBytes(of module: ModuleInventory.Module, as form: AdapterForm) throws(LoadError) -> Int {
        if form == .factored, let update = factors(of: module) {
            return LinearFactoring.byteCount(
                of: update, rows: module.outputs, columns: module.inputs, isHalf: hasHalfFactors)
        }
        return try formats(of: module)[0].byteCount(rows: module.outputs, columns: module.inputs)
    }

    /// What an embedding's rows are computed from when they are asked for.
    var embeddingBytes: Int {
        guard let module = adapter.inventory[ModuleInventory.embedding], changes(module) else { return 0 }
        let floats =
            (adapter.updates[module.name] == nil ? 0 : module.outputs)
            + (sources.tokenRows(module.name)?.rows.count ?? 0)
        return floats * MemoryLayout<Float>.size + (adapter.updates[module.name]?.byteCount ?? 0)
            + (adapter.replacements[module.weightName]?.retainedBytes ?? 0)
    }

    /// The form that the adapter gets over the base's weights.
    fileprivate func formChoice(
        _ form: StorageOptions.Form, over weights: ModelWeights
    ) throws(LoadError) -> FormChoice {
        var (fixed, merged, factored) = (0, 0, 0)
        var hasFactors = false
        for module in linear {
            let stored = weights.linear(at: module.place)?.matrix.byteCount ?? 0
            let added = try plannedBytes(of: module, as: .merged) - stored
            guard factors(of: module) != nil else {
                fixed += added
                continue
            }
            hasFactors = true
            merged += added
            factored += try plannedBytes(of: module, as: .factored)
        }
        return FormChoice(
            form, merged: storage.merged, base: weights.matrixBytes, fixed: fixed, mergedBytes: merged,
            factoredBytes: hasFactors ? factored : nil)
    }
}

extension BaseModel {
    /// The form that an adapter gets in this base.
    ///
    /// - Parameter form: what was asked for it; nil for what the storage options say.
    /// - Throws: `LoadError` when the adapter changes a matrix that the base does not have.
    package func formChoice(
        of adapter: Adapter, as form: StorageOptions.Form? = nil
    ) throws(LoadError) -> FormChoice {
        try AdaptedModules(of: adapter, in: self).formChoice(form ?? storage.form, over: weights)
    }
}
