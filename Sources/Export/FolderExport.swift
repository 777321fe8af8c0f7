package import DoraLoader
package import DoraTensor
import DoraText

/// A model, with an adapter merged in or without, as the folder that transformers would have saved of it: weights in floats,
/// the configuration without a word of quantization, tokenizer and chat template.
package struct FolderExport {
    private let model: MergedModel
    private let elementType: ElementType
    private let sharesHead: Bool
    private let tensors: [MergedModel.Tensor]
    private let plan: ShardPlan
    private let small: [(name: String, bytes: [UInt8])]
    private let compute: Compute

    /// As transformers saved models for years (`save_pretrained`).
    package static let defaultShardBytes = 5_000_000_000

    /// Checks all but the weights, which are checked while they are written.
    /// - Parameters:
    ///   - elementType: F32, F16 or BF16, of every tensor.
    ///   - shardBytes: most bytes of tensors in a file; a tensor alone may have more.
    /// - Throws: `LoadError` for what such a folder cannot say.
    package init(
        _ model: MergedModel, elementType: ElementType, shardBytes: Int = FolderExport.defaultShardBytes,
        on compute: Compute
    ) throws {
        self.model = model
        self.elementType = elementType
        self.compute = compute
        sharesHead = try model.sharesHead()
        tensors = try model.tensors(sharesHead: sharesHead)
        plan = ShardPlan(
            tensors.map { $0.elementCount * elementType.byteCount }, limit: max(1, shardBytes))
        let configuration = try PlainConfiguration(
            model.files, vocabularySize: model.inventory.vocabularySize, sharesHead: sharesHead,
            elementType: elementType)
        small =
            [("config.json", Array(JSONValue.object(configuration.json).indented.utf8))]
            + (try PlainFiles.all(
                of: model.files, adapters: model.adapter?.folders ?? [], configuration: model.configuration))
    }

    /// What the folder says otherwise than its base.
    package var warnings: [LoadWarning] {
        model.inventory.tiesWordEmbeddings && !sharesHead ? [ExportRemarks.splitHead] : []
    }

    /// Writes the folder, one tensor after the other.
    /// - Parameter progress: may throw, which ends the writing and leaves nothing.
    /// - Returns: what the merge noticed.
    /// - Throws: `WriteError` when there is such a folder or no room for it; `LoadError`; what `progress` throws.
    package func write(
        to path: String, progress: (LoadProgress) throws -> Void = { _ in }
    ) throws -> [LoadWarning] {
        let folder = try NewFolder(path)
        for (name, bytes) in small { try folder.add(name, bytes) }
        if let index = plan.index(names: tensors.map(\.name)) {
            try folder.add(ShardPlan.indexName, Array(index.indented.utf8))
        }
        // All of the space is set aside before the first number is computed.
        let shards = try plan.shards.enumerated().map { shard, indices in
            let layout = SafetensorsLayout(
                tensors[indices].map {
                    SafetensorsLayout.Entry(name: $0.name, shape: $0.shape, elementType: elementType)
                })
            return (
                indices: indices, layout: layout,
                file: try folder.file(plan.name(shard), byteCount: layout.byteCount)
            )
        }
        var writer = TensorWriter(on: compute)
        for (indices, layout, file) in shards {
            try layout.header.withUnsafeBytes { try file.write($0, at: 0) }
            for (index, offset) in zip(indices, layout.offsets) {
                try progress(LoadProgress(stage: "exporting", done: index, total: tensors.count))
                try writer.write(
                    tensors[index], of: model, to: file,
                    in: TensorWriter.Form(encoding: .float(elementType), offset: offset))
            }
        }
        try folder.finish()
        try progress(LoadProgress(stage: "exporting", done: tensors.count, total: tensors.count))
        return writer.remarks.warnings(baseModelName: model.adapter?.configuration.baseModelName)
    }
}
