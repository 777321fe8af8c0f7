package import DoraLoader
package import DoraTensor
package import DoraText

/// An adapter of any kind as the plain LoRA that comes closest to it: of each matrix W' - V the best of that rank in the
/// Frobenius norm, for programs that put LoRA and nothing else beside their own weights.
///
/// B A is W' - V as far as it goes, s = 1; both factors get the root of each singular value, so that neither is large.
package struct LowRankExport {
    private let model: MergedModel
    private let adapter: Adapter
    private let rank: Int
    private let elementType: ElementType
    private let modules: [ModuleInventory.Module]
    package let warnings: [LoadWarning]
    private let compute: Compute

    /// How much of a matrix's change is kept.
    package struct Kept: Sendable {
        package let module: String
        /// Shares of ||W' - V||^2.
        package let energy: Double
        /// ||W' - V||^2
        package let total: Double
    }

    /// - Throws: `LoadError` `.unsupported` for an adapter that changes more than matrices of linear layers.
    package init(
        _ model: MergedModel, rank: Int, elementType: ElementType, on compute: Compute
    ) throws(LoadError) {
        guard let adapter = model.adapter else {
            throw LoadError(
                .missing, file: model.files.path, "there is no adapter to make a LoRA of",
                advice: "give --adapter")
        }
        self.model = model
        self.adapter = adapter
        self.rank = rank
        self.elementType = elementType
        self.compute = compute
        let changed = try model.changedModules()
        modules = changed.linear
        warnings =
            changed.biases.isEmpty
            ? []
            : [
                LoadWarning(
                    "\(changed.biases.count) biases that the adapter changes are left out, as a plain LoRA has none:"
                        + " \(changed.biases.prefix(3).joined(separator: ", "))\(changed.biases.count > 3 ? ", …" : "")",
                    details: changed.biases)
            ]
    }

    /// Writes the folder of a PEFT adapter, one matrix after the other.
    /// - Parameter kept: told of each matrix when it is done.
    /// - Throws: `WriteError` when there is such a folder or no room for it; `LoadError`; what the closures throw.
    package func write(
        to path: String, kept: (Kept) throws -> Void, progress: (LoadProgress) throws -> Void = { _ in }
    ) throws -> [LoadWarning] {
        let folder = try NewFolder(path)
        try folder.add(
            "adapter_config.json", Array(JSONValue.object(configuration).indented.utf8))
        for (name, bytes) in try PlainFiles.ofAdapter(adapter, over: model.files) {
            try folder.add(name, bytes)
        }
        let layout = SafetensorsLayout(
            modules.flatMap { module in
                [("lora_A", [rank, module.inputs]), ("lora_B", [module.outputs, rank])].map { name, shape in
                    SafetensorsLayout.Entry(
                        name: "base_model.model.\(module.name).\(name).weight", shape: shape,
                        elementType: elementType)
                }
            })
        let file = try folder.file("adapter_model.safetensors", byteCount: layout.byteCount)
        try layout.header.withUnsafeBytes { try file.write($0, at: 0) }
        var remarks = ExportRemarks()
        for (index, module) in modules.enumerated() {
            try progress(LoadProgress(stage: "factoring", done: index, total: modules.count))
            let change = try change(of: module, &remarks)
            defer { change.deallocate() }
            let total = change.reduce(0.0) { $0 + Double($1) * Double($1) }
            guard total.isFinite else { throw Self.notFinite(module, adapter) }
            let factors = try factors(of: change, module)
            for (part, values) in [factors.a, factors.b].enumerated() {
                try write(values, to: file, at: layout.offsets[2 * index + part], module)
            }
            try progress(LoadProgress(stage: "factoring", done: modules.count, total: modules.count))
            try kept(
                Kept(module: module.name, energy: total == 0 ? 1 : factors.energy / total, total: total))
        }
        try folder.finish()
        try progress(LoadProgress(stage: "factoring", done: modules.count, total: modules.count))
        return remarks.warnings(baseModelName: adapter.configuration.baseModelName)
    }

    /// W' - V, `[outputs, inputs]`; the caller frees it.
    private func change(
        of module: ModuleInventory.Module, _ remarks: inout ExportRemarks
    ) throws -> UnsafeMutableBufferPointer<Float> {
        var (merged, base) = try model.sides(of: module)
        let (rows, columns) = (merged.rows, merged.columns)
        let stretch = min(rows, MergedRows.stretch(columns: columns))
        let change = UnsafeMutableBufferPointer<Float>.allocate(capacity: rows * columns)
        let before = UnsafeMutableBufferPointer<Float>.allocate(capacity: stretch * columns)
        defer { before.deallocate() }
        do {
            guard let values = change.baseAddress, let old = before.baseAddress else { return change }
            for first in stride(from: 0, to: rows, by: stretch) {
                let range = first..<min(first + stretch, rows)
                let new = values + first * columns
                try merged.read(rows: range, into: new, on: compute)
                try base.read(rows: range, into: old, on: compute)
                for index in 0..<range.count * columns { new[index] -= old[index] }
            }
        } catch {
            change.deallocate()
            throw error
        }
        remarks.add(merged, module: module.name)
        return change
    }

    /// A `[rank, inputs]` and B `[outputs, rank]`, with zeros where the matrix has no so many values.
    private func factors(
        of change: UnsafeMutableBufferPointer<Float>, _ module: ModuleInventory.Module
    ) throws -> (a: [Float], b: [Float], energy: Double) {
        var a = [Float](repeating: 0, count: rank * module.inputs)
        var b = [Float](repeating: 0, count: module.outputs * rank)
        guard let start = change.baseAddress else { return (a, b, 0) }
        let svd = try RandomizedSVD(
            of: start, rows: module.outputs, columns: module.inputs, rank: rank)
        for (index, value) in svd.values.enumerated() {
            let root = value.squareRoot()
            for column in 0..<module.inputs {
                a[index * module.inputs + column] = root * svd.right[index * module.inputs + column]
            }
            for row in 0..<module.outputs {
                b[row * rank + index] = root * svd.left[index * module.outputs + row]
            }
        }
        return (a, b, svd.values.reduce(0.0) { $0 + Double($1) * Double($1) })
    }

    private func write(
        _ values: [Float], to file: NewFile, at offset: Int, _ module: ModuleInventory.Module
    ) throws {
        var bytes = [UInt8](repeating: 0, count: values.count * elementType.byteCount)
        let isFinite = bytes.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map {
                FloatEncoding.encode(values, count: values.count, as: elementType, into: $0)
            } ?? true
        }
        guard isFinite else { throw Self.notFinite(module, adapter) }
        try bytes.withUnsafeBytes { try file.write($0, at: offset) }
    }

    private static func notFinite(_ module: ModuleInventory.Module, _ adapter: Adapter) -> LoadError {
        LoadError(
            .malformed, file: adapter.folder, field: module.name,
            "the change of this matrix holds numbers that are none",
            advice: "the training diverged or the file is damaged; use another checkpoint of the adapter")
    }
}

extension LowRankExport {
    /// `adapter_config.json` (PEFT `LoraConfig`).
    private var configuration: JSONObject {
        JSONObject([
            ("peft_type", .string("LORA")), ("task_type", .string("CAUSAL_LM")),
            ("base_model_name_or_path", .string(adapter.configuration.baseModelName ?? model.files.baseName)),
            ("r", .integer(rank)), ("lora_alpha", .integer(rank)),
            ("target_modules", .array(targets.map { .string($0) })), ("lora_dropout", .decimal(0)),
            ("bias", .string("none")), ("fan_in_fan_out", .bool(false)), ("use_rslora", .bool(false)),
            ("use_dora", .bool(false)), ("modules_to_save", .null), ("inference_mode", .bool(true)),
        ])
    }

    /// The modules' last names where these mean no other module, else all names.
    private var targets: [String] {
        func last(_ module: ModuleInventory.Module) -> String {
            module.name.split(separator: ".").last.map(String.init) ?? module.name
        }
        let names = Set(modules.map(last))
        let meant = model.inventory.modules.filter { $0.kind == .linear && names.contains(last($0)) }
        return meant.count == modules.count ? names.sorted() : modules.map(\.name)
    }
}
