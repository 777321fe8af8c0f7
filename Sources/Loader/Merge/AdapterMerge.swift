package import DoraTensor
import DoraText

/// One adapter on its way into one base, merged or factored, some tiles of a module at a time: between the steps a server
/// can do other work.
package struct AdapterMerge {
    /// Adapted as far as the merge has come; other copies of the base are not touched.
    package private(set) var base: BaseModel
    package private(set) var report: MergeReport
    private let modules: AdaptedModules
    private let compute: Compute
    /// Linear modules that the adapter changes, in the order of the forward pass.
    private let linear: [ModuleInventory.Module]
    /// What is not linear comes first, as one.
    private var done = 0
    /// The linear module that is under way.
    private var current = Current.none
    /// Bytes of matrices beyond those of the formats that were tried first.
    package private(set) var raisedBytes = 0

    private enum Current {
        case none
        case merging(LinearMerge)
        case factoring(LinearFactoring)
    }

    /// - Parameter choice: the adapter's form, by `BaseModel.formChoice`.
    package init(
        of adapter: Adapter, into base: consuming BaseModel, as choice: FormChoice, on compute: Compute
    ) {
        modules = AdaptedModules(of: adapter, in: copy base)
        linear = modules.linear
        report = MergeReport(choice: choice)
        self.base = base
        self.compute = compute
        report.warn(adapter.warnings)
        report.baseModelName = adapter.configuration.baseModelName
    }

    private var adapter: Adapter { modules.adapter }
    package var form: AdapterForm { report.choice.form }
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
        } else if try adaptLinear(linear[done - 1]) {
            done += 1
        }
    }

    /// Bytes that the adapter will take, if no further matrix has to be stored more finely.
    package var plannedBytes: Int {
        get throws {
            try linear.reduce(modules.embeddingBytes + raisedBytes) { sum, module in
                try sum + modules.plannedBytes(of: module, as: form)
            }
        }
    }

    private mutating func mergeEmbedding() throws {
        guard let module = adapter.inventory[ModuleInventory.embedding], modules.changes(module) else {
            return
        }
        let source = try modules.source(module)
        guard let update = adapter.updates[module.name] as? LowRankUpdate else {
            base.weights.embedding = Embedding(source: source)
            report.add(entry(module, nil, format: "as stored", bytes: modules.embeddingBytes))
            return
        }
        let merged = MergedEmbedding(base: source, update: update, on: compute)
        base.weights.embedding = Embedding(source: merged)
        report.add(
            entry(module, update, format: "computed", bytes: modules.embeddingBytes),
            zeros: merged.zeroColumns, ratios: merged.ratios)
    }

    /// - Returns: whether the module is done.
    private mutating func adaptLinear(_ module: ModuleInventory.Module) throws -> Bool {
        switch current {
        case .merging(let merge): return try step(merge, of: module)
        case .factoring(let factoring): return try step(factoring, of: module)
        case .none: break
        }
        let source = try modules.source(module)
        let matrix = modules.isReplaced(module) ? nil : base.weights.linear(at: module.place)?.matrix
        if form == .factored, let update = modules.factors(of: module) {
            return try step(
                LinearFactoring(
                    source: source, matrix: matrix, update: update, isHalf: modules.hasHalfFactors),
                of: module)
        }
        let merge = try LinearMerge(
            source: source, matrix: matrix, update: adapter.updates[module.name],
            formats: modules.formats(of: module), on: compute)
        return try step(merge, of: module)
    }

    private mutating func step(_ merge: LinearMerge, of module: ModuleInventory.Module) throws -> Bool {
        var merge = merge
        // Held once only, while it grows.
        current = .none
        let update = adapter.updates[module.name]
        guard let result = try merge.step(on: compute) else {
            current = .merging(merge)
            return false
        }
        if let change = result.change, !change.isFinite { throw overflow(module) }
        raisedBytes += try result.matrix.byteCount - modules.plannedBytes(of: module, as: .merged)
        // An update that asks for nothing leaves V where and as it is.
        let isBase = result.change?.isChange == false && !modules.isReplaced(module)
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

    private mutating func step(_ factoring: LinearFactoring, of module: ModuleInventory.Module) throws -> Bool
    {
        var factoring = factoring
        current = .none
        let update = adapter.updates[module.name]
        guard let result = try factoring.step(on: compute) else {
            current = .factoring(factoring)
            return false
        }
        if result.isBroken { throw overflow(module) }
        base.weights.changeLinear(at: module.place) { linear in
            linear.part = result.part
            if let update { linear.bias = update.bias(linear.bias) }
        }
        report.add(
            entry(
                module, update,
                format: result.part.map { $0.isHalf ? "factors in f16" : "factors in f32" } ?? "as the base",
                bytes: result.part?.byteCount ?? 0),
            zeros: result.zeroRows, ratios: result.ratios)
        return true
    }

    private func overflow(_ module: ModuleInventory.Module) -> LoadError {
        .overflow(module.name, file: adapter.folder)
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
