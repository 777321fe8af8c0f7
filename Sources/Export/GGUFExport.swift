package import DoraLoader
package import DoraTensor
import DoraText

/// A model, with an adapter merged in or without, as one GGUF file for llama.cpp: weights, configuration, tokenizer and chat
/// template.
package struct GGUFExport {
    private let model: MergedModel
    private let plan: GGUFPlan
    private let tensors: [MergedModel.Tensor]
    private let entries: [GGUFLayout.Entry]
    private let layout: GGUFLayout
    private let compute: Compute
    package let warnings: [LoadWarning]

    /// Checks all but the weights, which are checked while they are written.
    /// - Parameter type: of matrices; vectors are in F32, and so is a matrix whose rows the type does not take in F16.
    /// - Throws: `LoadError` for a model or a tokenizer that GGUF files cannot hold.
    package init(_ model: MergedModel, type: GGUFType, on compute: Compute) throws {
        self.model = model
        self.compute = compute
        let sharesHead = try model.sharesHead()
        let plan = try GGUFPlan(model, sharesHead: sharesHead)
        self.plan = plan
        tensors = try model.tensors(sharesHead: sharesHead)
        warnings =
            model.inventory.tiesWordEmbeddings && !sharesHead ? [ExportRemarks.splitHead] : []
        entries =
            try tensors.map { tensor in
                let columns = tensor.shape.last ?? 1
                let fitting = type.byteCount(columns: columns) == nil ? GGUFType.f16 : type
                return GGUFLayout.Entry(
                    name: try plan.name(of: tensor), shape: tensor.shape,
                    type: tensor.module.kind == .norm || tensor.isBias ? .f32 : fitting)
            }
            + plan.divisors.map { GGUFLayout.Entry(name: $0.name, shape: [$0.values.count], type: .f32) }
        let general: [(key: String, value: GGUFMetadataValue)] = [
            ("general.architecture", .text(plan.architecture)), ("general.type", .text("model")),
            ("general.name", .text(model.name)), ("general.file_type", .integer(type.fileType)),
            ("general.quantization_version", .integer(2)),
        ]
        layout = GGUFLayout(
            entries, metadata: general + plan.metadata + (try model.ggufTokenizer().metadata))
    }

    /// Writes the file, one tensor after the other.
    /// - Parameter progress: may throw, which ends the writing and leaves nothing.
    /// - Returns: what the merge noticed.
    /// - Throws: `WriteError` when something of that name is there or there is no room for it; `LoadError`; what `progress`
    ///   throws.
    package func write(
        to path: String, progress: (LoadProgress) throws -> Void = { _ in }
    ) throws -> [LoadWarning] {
        try Self.check(path)
        let file = try NewFile(path, byteCount: layout.byteCount)
        try layout.header.withUnsafeBytes { try file.write($0, at: 0) }
        // What is read back, before an hour's work.
        for (divisors, offset) in zip(plan.divisors, layout.offsets.dropFirst(tensors.count)) {
            try divisors.values.withUnsafeBytes { try file.write($0, at: offset) }
        }
        try plan.check(file.openPath)
        var writer = TensorWriter(on: compute)
        for (index, tensor) in tensors.enumerated() {
            try progress(LoadProgress(stage: "exporting", done: index, total: tensors.count))
            try writer.write(
                tensor, of: model, to: file,
                in: TensorWriter.Form(
                    encoding: entries[index].type.encoding, offset: layout.offsets[index],
                    shift: plan.shift(of: tensor),
                    storedRow: plan.isReordered(tensor) ? plan.storedRow(of: tensor) : nil))
        }
        try file.finish()
        try progress(LoadProgress(stage: "exporting", done: tensors.count, total: tensors.count))
        return writer.remarks.warnings(baseModelName: model.adapter?.configuration.baseModelName)
    }

    /// Whether a file could be made under that name.
    package static func check(_ path: String) throws(WriteError) {
        if Folder(path).isThere { throw WriteError(path, "it exists; give another name") }
    }
}

extension GGUFType {
    fileprivate var encoding: TensorWriter.Encoding {
        switch self {
        case .f32: .float(.f32)
        case .f16: .float(.f16)
        case .bf16: .float(.bf16)
        case .q8_0: .q8
        }
    }
}
