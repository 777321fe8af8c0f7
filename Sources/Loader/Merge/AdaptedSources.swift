import DoraTensor
import DoraText

/// Which of a base's matrices an adapter changes, and what it changes them from: V of each, as the base's files or the
/// adapter's own copies have it.
struct AdaptedSources {
    let adapter: Adapter
    /// Path of the base, for messages.
    private let file: String
    /// Of the base.
    private let inventory: ModuleInventory
    private let sources: [String: any WeightSource]

    init(
        of adapter: Adapter, over sources: [String: any WeightSource], inventory: ModuleInventory,
        file: String
    ) {
        self.adapter = adapter
        self.file = file
        self.inventory = inventory
        self.sources = sources
    }

    func changes(_ module: ModuleInventory.Module) -> Bool {
        adapter.updates[module.name] != nil || isReplaced(module)
    }

    /// Whether rows or all of it are others than the base's, whatever is added to them.
    func isReplaced(_ module: ModuleInventory.Module) -> Bool {
        adapter.replacements[module.weightName] != nil || tokenRows(module.name) != nil
            || inventory[module.name]?.weightShape != module.weightShape
    }

    /// Rows that the adapter replaces in a module. A head that shares the embedding's tensor shares these too.
    func tokenRows(_ module: String) -> TokenRows? {
        if let rows = adapter.tokenRows[module] { return rows }
        let isTiedHead = module == ModuleInventory.head && inventory.tiesWordEmbeddings
        return isTiedHead ? adapter.tokenRows[ModuleInventory.embedding] : nil
    }

    /// The base's V.
    func base(_ module: String) throws(LoadError) -> any WeightSource {
        guard let source = sources[module] else {
            throw LoadError(.missing, file: file, field: module, "the base has no such matrix")
        }
        return source
    }

    /// What the update is added to: the adapter's own copy of the module, if it has one, else the base's V.
    func source(_ module: ModuleInventory.Module) throws(LoadError) -> any WeightSource {
        let shape = module.weightShape
        let source: any WeightSource =
            if let replacement = adapter.replacements[module.weightName] {
                try DenseWeights(replacement, rows: shape[0], columns: shape[1])
            } else {
                try base(module.name)
            }
        let rows = tokenRows(module.name)
        guard rows != nil || source.rows != shape[0] else { return source }
        guard rows == nil || adapter.updates[module.name] == nil else {
            throw LoadError(
                .unsupported, file: adapter.folder, field: module.name,
                "trainable tokens and a low-rank update of the same module are not supported",
                advice: "train them in separate modules")
        }
        return ReplacedRows(base: source, rows: rows, count: shape[0])
    }
}
