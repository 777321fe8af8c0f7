package import DoraTensor
package import DoraText

/// A base as plain tensors with transformers' names and in its order, with an adapter merged in or without one.
///
/// Values are computed in F32 from V when they are asked for, some rows at a time: nothing is packed and nothing rounded, and
/// only the rows in hand are in memory.
package struct MergedModel {
    package let files: ModelFiles
    /// Of the base.
    package let configuration: ModelConfiguration
    package let adapter: Adapter?
    /// With as many tokens as the adapter has.
    package let inventory: ModuleInventory
    package let warnings: [LoadWarning]
    private let reader: CheckpointReader
    private let base: [String: any WeightSource]
    private let adapted: AdaptedSources?
    private let compute: Compute

    /// Reads what there is and how it fits, but no weights.
    ///
    /// - Parameters:
    ///   - quantization: of a 16- or 32-bit base, as the adapter's training quantized it: V is what that left.
    ///   - acceptsOtherBase: whether an adapter of another base fits weights that are scaled otherwise.
    /// - Throws: `LoadError` as loading base and adapter does.
    package init(
        _ files: ModelFiles, adapter sum: AdapterSum?, quantization: Quantization? = nil,
        acceptsOtherBase: Bool = false, on compute: Compute
    ) throws {
        self.files = files
        self.compute = compute
        let configuration = try ModelConfiguration(files)
        self.configuration = configuration
        let inventory = ModuleInventory(configuration)
        reader = try CheckpointReader(
            files, configuration, inventory: inventory, quantization: quantization)
        let base = try reader.sources(on: compute)
        try reader.refuseLeftovers()
        self.base = base
        let adapter = try sum?.load(
            fitting: inventory, baseName: files.baseName,
            isBaseRequired: !acceptsOtherBase && configuration.quantization?.scalesInputs == true)
        self.adapter = adapter
        adapted = adapter.map {
            AdaptedSources(of: $0, over: base, inventory: inventory, file: files.path)
        }
        self.inventory = adapter?.inventory ?? inventory
        warnings =
            reader.warnings
            + BaseModel.warnings(configuration, quantization: quantization, sources: base)
            + (adapter?.warnings ?? [])
    }

    /// A tensor by its name in transformers.
    package struct Tensor: Sendable {
        package let name: String
        package let shape: [Int]
        package let module: ModuleInventory.Module
        /// Else the module's weight.
        package let isBias: Bool

        package var elementCount: Int { shape.reduce(1, *) }
    }

    /// All tensors, in the order of the forward pass.
    /// - Parameter sharesHead: whether the head is the embedding, and so has no weight of its own.
    /// - Throws: `LoadError` `.unsupported` when the adapter adds a bias to a module that has none.
    package func tensors(sharesHead: Bool) throws(LoadError) -> [Tensor] {
        var tensors: [Tensor] = []
        for module in inventory.modules {
            if !(sharesHead && module.name == ModuleInventory.head) {
                tensors.append(
                    Tensor(
                        name: module.weightName, shape: module.weightShape, module: module, isBias: false))
            }
            if let name = module.biasName {
                tensors.append(Tensor(name: name, shape: [module.outputs], module: module, isBias: true))
            } else if let adapter, adapter.updates[module.name]?.bias(nil) != nil {
                throw LoadError(
                    .unsupported, file: adapter.folder, field: module.name,
                    "the adapter adds a bias, which such modules of a \(configuration.modelType) do not have",
                    advice: "serve the adapter with dora-serve instead")
            }
        }
        return tensors
    }

    /// Whether base or adapter leave head and embedding one matrix, as a tied model has it. Both are compared, since an
    /// adapter may change one side, and a file that says it is tied may hold two.
    package func sharesHead() throws -> Bool {
        guard inventory.tiesWordEmbeddings, let embedding = inventory[ModuleInventory.embedding],
            let head = inventory[ModuleInventory.head]
        else { return false }
        var sides = try [matrix(embedding), matrix(head)]
        let (rows, columns) = (sides[0].rows, sides[0].columns)
        let stretch = MergedRows.stretch(columns: columns)
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: 2 * stretch * columns)
        defer { values.deallocate() }
        guard let first = values.baseAddress else { return false }
        let second = first + stretch * columns
        for start in stride(from: 0, to: rows, by: stretch) {
            let range = start..<min(start + stretch, rows)
            try sides[0].read(rows: range, into: first, on: compute)
            try sides[1].read(rows: range, into: second, on: compute)
            for index in 0..<range.count * columns where first[index] != second[index] { return false }
        }
        return true
    }

    /// The values of a tensor; a vector is a row.
    package func rows(of tensor: Tensor) throws -> MergedRows {
        let module = tensor.module
        if tensor.isBias {
            return try vector(tensor, bias(of: module) ?? [])
        }
        guard module.kind == .norm else { return try matrix(module) }
        let replacement = adapter?.replacements[module.weightName]
        return try vector(
            tensor, replacement?.floats() ?? reader.vector(module.weightName, module.weightShape))
    }

    private func bias(of module: ModuleInventory.Module) throws(LoadError) -> [Float]? {
        guard let name = module.biasName else { return nil }
        let replacement = try adapter?.replacements[name]?.floats()
        let stored = if let replacement { replacement } else { try reader.vector(name, [module.outputs]) }
        guard let update = adapter?.updates[module.name] else { return stored }
        return update.bias(stored)
    }

    private func vector(_ tensor: Tensor, _ values: [Float]) throws(LoadError) -> MergedRows {
        let view = try TensorView(
            name: tensor.name, file: files.path, shape: [1, tensor.elementCount], floats: values)
        return MergedRows(
            source: try DenseWeights(view, rows: 1, columns: tensor.elementCount), name: tensor.name,
            file: files.path)
    }

    private func matrix(_ module: ModuleInventory.Module) throws(LoadError) -> MergedRows {
        guard let adapted, let adapter else {
            guard let source = base[module.name] else {
                throw LoadError(
                    .missing, file: files.path, field: module.weightName, "the base has no such matrix")
            }
            return MergedRows(source: source, name: module.weightName, file: files.path)
        }
        let source = try adapted.source(module)
        guard let update = adapter.updates[module.name] else {
            return MergedRows(source: source, name: module.weightName, file: files.path)
        }
        if module.kind == .embedding, let update = update as? LowRankUpdate {
            let merged = MergedEmbedding(base: source, update: update, on: compute)
            return MergedRows(
                source: merged, name: module.weightName, file: adapter.folder, zeroRows: merged.zeroColumns,
                ratios: merged.ratios)
        }
        return MergedRows(
            source: source, update: update.rows(columns: source.columns, on: compute),
            hasMagnitude: update.hasMagnitude, name: module.weightName, file: adapter.folder)
    }
}

/// What an adapter changes, matrix by matrix.
extension MergedModel {
    /// The linear modules whose matrices the adapter changes, and the names of the biases that it changes.
    /// - Throws: `LoadError` `.unsupported` where it changes what is no matrix of a linear layer.
    package func changedModules() throws(LoadError) -> (
        linear: [ModuleInventory.Module], biases: [String]
    ) {
        guard let adapter, let adapted else { return ([], []) }
        var (linear, biases): ([ModuleInventory.Module], [String]) = ([], [])
        for module in inventory.modules {
            let replacesBias = module.biasName.map { adapter.replacements[$0] != nil } ?? false
            let zeros = [Float](repeating: 0, count: module.outputs)
            let ones = [Float](repeating: 1, count: module.outputs)
            let update = adapter.updates[module.name]
            switch module.kind {
            case .linear:
                if replacesBias || update?.bias(nil) != nil || update.map({ $0.bias(zeros) != zeros }) == true
                    || module.hasBias && update.map({ $0.bias(ones) != ones }) == true
                {
                    biases.append(module.name + ".bias")
                }
                guard adapted.changes(module) else { continue }
                guard try adapted.base(module.name).rows == module.outputs else {
                    throw refusal(module, "has another number of tokens")
                }
                linear.append(module)
            case .embedding where adapted.changes(module):
                throw refusal(module, "changes the embedding")
            case .norm where adapter.replacements[module.weightName] != nil || replacesBias:
                throw refusal(module, "replaces a norm")
            case .embedding, .norm: continue
            }
        }
        guard !linear.isEmpty else {
            throw LoadError(
                .unsupported, file: adapter.folder, "it changes no matrix of a linear layer",
                advice: "export the merged model: leave --as-lora out")
        }
        return (linear, biases)
    }

    /// A linear module's W' and the base's V, which have the same shape.
    package func sides(
        of module: ModuleInventory.Module
    ) throws(LoadError) -> (merged: MergedRows, base: MergedRows) {
        guard let source = base[module.name] else {
            throw LoadError(
                .missing, file: files.path, field: module.weightName, "the base has no such matrix")
        }
        return (
            try matrix(module), MergedRows(source: source, name: module.weightName, file: files.path)
        )
    }

    private func refusal(_ module: ModuleInventory.Module, _ what: String) -> LoadError {
        LoadError(
            .unsupported, file: adapter?.folder ?? files.path, field: module.name,
            "the adapter \(what), which a plain LoRA of linear layers cannot",
            advice: "export the merged model: leave --as-lora out")
    }
}
