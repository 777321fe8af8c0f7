package import DoraTensor
import DoraText

/// One adapter on its way into one base, some tiles of a module at a time: between the steps a server can do other work.
package struct AdapterMerge {
    /// Adapted as far as the merge has come; other copies of the base are not touched.
    package private(set) var base: BaseModel
    package private(set) var report = MergeReport()
    private let adapter: Adapter
    private let compute: Compute
    /// How the base's own head is stored.
    private let headFormat: MatrixFormat
    /// Linear modules that the adapter changes, in the order of the forward pass.
    private var linear: [ModuleInventory.Module] = []
    /// What is not linear comes first, as one.
    private var done = 0
    /// The linear module that is under way.
    private var current: LinearMerge?
    /// Bytes of matrices beyond those of the formats that were tried first.
    package private(set) var raisedBytes = 0

    package init(of adapter: Adapter, into base: consuming BaseModel, on compute: Compute) {
        self.adapter = adapter
        headFormat = base.weights.head.matrix.format
        self.base = base
        self.compute = compute
        linear = adapter.inventory.modules.filter { $0.kind == .linear && changes($0) }
        report.warn(adapter.warnings)
        report.baseModelName = adapter.configuration.baseModelName
    }

    package var isDone: Bool { done > linear.count }
    package var progress: LoadProgress {
        LoadProgress(stage: "merging", done: done, total: linear.count + 1)
    }

    /// Merges what is not linear, or the next tiles of a linear module.
    /// - Throws: `LoadError` when a replacement does not fit; `ComputeError` when memory runs out. The merge cannot go
    ///   on then.
    package mutating func step() throws {
        if done == 0 {
            try replaceVectors()
            try mergeEmbedding()
            done += 1
        } else if try mergeLinear(linear[done - 1]) {
            done += 1
        }
    }

    /// Bytes that the merged adapter will take, if no further matrix has to be stored more finely.
    package var plannedBytes: Int {
        get throws {
            try linear.reduce(embeddingBytes + raisedBytes) { sum, module in
                try sum + plannedBytes(of: module)
            }
        }
    }

    private func plannedBytes(of module: ModuleInventory.Module) throws -> Int {
        try formats(of: module)[0].byteCount(rows: module.outputs, columns: module.inputs)
    }

    /// What an embedding's rows are computed from when they are asked for.
    private var embeddingBytes: Int {
        guard let module = adapter.inventory[ModuleInventory.embedding], changes(module) else { return 0 }
        let floats =
            (adapter.updates[module.name] == nil ? 0 : module.outputs)
            + (tokenRows(module.name)?.rows.count ?? 0)
        return floats * MemoryLayout<Float>.size + (adapter.updates[module.name]?.byteCount ?? 0)
            + (adapter.replacements[module.weightName]?.retainedBytes ?? 0)
    }

    /// In the order in which they are tried.
    private func formats(of module: ModuleInventory.Module) throws -> [MatrixFormat] {
        let native =
            module.name == ModuleInventory.head
            ? headFormat : try base.source(of: module.name).nativeFormat
        return base.storage.mergedFormats(
            of: module.name, over: native, isUpdate: adapter.updates[module.name] != nil)
    }

    /// Rows that the adapter replaces in a module. A head that shares the embedding's tensor shares these too.
    private func tokenRows(_ module: String) -> TokenRows? {
        if let rows = adapter.tokenRows[module] { return rows }
        let isTiedHead = module == ModuleInventory.head && base.inventory.tiesWordEmbeddings
        return isTiedHead ? adapter.tokenRows[ModuleInventory.embedding] : nil
    }

    private func changes(_ module: ModuleInventory.Module) -> Bool {
        adapter.updates[module.name] != nil || adapter.replacements[module.weightName] != nil
            || tokenRows(module.name) != nil || isResized(module)
    }

    private func isResized(_ module: ModuleInventory.Module) -> Bool {
        base.inventory[module.name]?.weightShape != module.weightShape
    }

    /// What the update is added to: the adapter's own copy of the module, if it has one, else the base's V.
    private func source(_ module: ModuleInventory.Module) throws(LoadError) -> any WeightSource {
        let shape = module.weightShape
        let source: any WeightSource =
            if let replacement = adapter.replacements[module.weightName] {
                try DenseWeights(replacement, rows: shape[0], columns: shape[1])
            } else {
                try base.source(of: module.name)
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

    private mutating func mergeEmbedding() throws {
        guard let module = adapter.inventory[ModuleInventory.embedding], changes(module) else { return }
        let source = try source(module)
        guard let update = adapter.updates[module.name] as? LowRankUpdate else {
            base.weights.embedding = Embedding(source: source)
            report.add(entry(module, nil, format: "as stored", bytes: embeddingBytes))
            return
        }
        let merged = MergedEmbedding(base: source, update: update, on: compute)
        base.weights.embedding = Embedding(source: merged)
        report.add(
            entry(module, update, format: "computed", bytes: embeddingBytes),
            zeros: merged.zeroColumns, ratios: merged.ratios)
    }

    /// - Returns: whether the module is done.
    private mutating func mergeLinear(_ module: ModuleInventory.Module) throws -> Bool {
        let update = adapter.updates[module.name]
        var merge =
            try current
            ?? LinearMerge(
                source: source(module), update: update, formats: formats(of: module), on: compute)
        guard let result = try merge.step(on: compute) else {
            current = merge
            return false
        }
        current = nil
        if let change = result.change, !change.isFinite {
            throw LoadError(
                .malformed, file: adapter.folder, field: module.name,
                "merging it overflows: the adapter's values are too large, or the base's are not finite",
                advice: "the training diverged or the file is damaged; use another checkpoint of the adapter")
        }
        raisedBytes += try result.matrix.byteCount - plannedBytes(of: module)
        // An update that asks for nothing leaves V where and as it is.
        let isBase =
            result.change?.isChange == false && adapter.replacements[module.weightName] == nil
            && !isResized(module)
        base.weights.changeLinear(at: module.place) { linear in
            if !isBase { linear.matrix = result.matrix }
            if let update { linear.bias = update.bias(linear.bias) }
        }
        report.add(
            entry(
                module, update, format: isBase ? "as the base" : result.matrix.format.name,
                bytes: isBase ? 0 : result.matrix.byteCount, change: result.change,
                tooCoarse: result.tooCoarse),
            zeros: result.zeroRows, ratios: result.ratios)
        return true
    }

    /// Biases and norm weights, which an adapter replaces whole.
    private mutating func replaceVectors() throws {
        for module in adapter.inventory.modules {
            let bias = try module.biasName.flatMap { adapter.replacements[$0] }.map {
                bias throws(LoadError) in
                try vector(bias, count: module.outputs)
            }
            guard module.kind == .norm else {
                if let bias { base.weights.changeLinear(at: module.place) { $0.bias = bias } }
                continue
            }
            let weight = try adapter.replacements[module.weightName].map { weight throws(LoadError) in
                base.inventory.normWeight(try vector(weight, count: module.outputs))
            }
            base.weights.setNorm(at: module.place, weight: weight, bias: bias)
        }
    }

    private func vector(_ tensor: TensorView, count: Int) throws(LoadError) -> [Float] {
        guard tensor.count == count else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name, expected: "[\(count)]",
                found: "\(tensor.shape)", advice: "use the base that the adapter was trained on")
        }
        return try tensor.floats()
    }

    private func entry(
        _ module: ModuleInventory.Module, _ update: (any WeightUpdate)?, format: String, bytes: Int,
        change: StoredChange? = nil, tooCoarse: [MergeReport.Trial] = []
    ) -> MergeReport.Entry {
        MergeReport.Entry(
            module: module.name, method: update?.label, rank: update?.rank ?? 0,
            scaling: update?.scaling ?? 0,
            hasMagnitude: update?.hasMagnitude == true, bytes: bytes, format: format,
            change: change, tooCoarse: tooCoarse)
    }
}
