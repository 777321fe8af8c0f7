package import DoraTensor
import DoraText

/// Writing a base as one packed file: matrices as they are stored by default, V without loss, and whatever else is needed
/// to run it.
package struct ModelPacking {
    private let files: ModelFiles
    private let reader: CheckpointReader
    private let inventory: ModuleInventory
    private let sources: [String: any WeightSource]
    private let compute: Compute
    private let isQuantized: Bool
    package let warnings: [LoadWarning]

    /// Checks the whole model but for its weights, which are checked while they are read.
    /// - Throws: as loading the model does.
    package init(_ files: ModelFiles, quantization: Quantization? = nil, on compute: Compute) throws {
        self.files = files
        self.compute = compute
        let configuration = try ModelConfiguration(files)
        _ = try GenerationDefaults(files, configuration: configuration)
        _ = try TokenizerFiles.load(files)
        inventory = ModuleInventory(configuration)
        reader = try CheckpointReader(
            files, configuration, inventory: inventory, quantization: quantization)
        sources = try reader.sources(on: compute)
        try reader.refuseLeftovers()
        isQuantized = StorageOptions().isQuantized(sources)
        warnings =
            reader.warnings
            + BaseModel.warnings(configuration, quantization: quantization, sources: sources)
    }

    /// Writes the file, one matrix after the other.
    /// - Parameter progress: may throw, which ends the writing and leaves no file.
    /// - Throws: `LoadError`, `ComputeError`, `WriteError`, and what `progress` throws.
    package func write(to path: String, progress: (LoadProgress) throws -> Void = { _ in }) throws {
        let small = try smallFiles()
        let rows = try rowTensors()
        let linear = inventory.modules.filter { $0.kind == .linear }
        let matrices = linear.compactMap(matrix)
        let writer = try PackedFileWriter(
            path,
            tensors: matrices.flatMap(\.tensors) + rows.map { PackedTensor($0.name, $0.tensor) }
                + small.map { PackedTensor(name: $0.name, elementType: .u8, shape: [$0.bytes.count]) },
            metadata: [(PackedHeader.baseKey, baseName)]
                + matrices.map { (PackedHeader.matrixKey($0.module), $0.description) }
                + rows.compactMap { row in
                    row.blocks.map { (PackedHeader.blocksKey(row.name), $0.name) }
                })
        for (index, matrix) in matrices.enumerated() {
            try progress(LoadProgress(stage: "packing", done: index, total: matrices.count + rows.count))
            try matrix.write(to: writer, on: compute)
        }
        for (index, (name, tensor, _)) in rows.enumerated() {
            try progress(
                LoadProgress(
                    stage: "packing", done: matrices.count + index, total: matrices.count + rows.count))
            try tensor.withBytes { bytes in
                let size = tensor.elementType.byteCount
                try writer.write(name, bytes) { range in
                    tensor.dropPages(elements: range.lowerBound / size..<range.upperBound / size)
                }
            }
        }
        for file in small { try file.bytes.withUnsafeBytes { try writer.write(file.name, $0) } }
        try writer.finish()
        try progress(
            LoadProgress(
                stage: "packing", done: matrices.count + rows.count, total: matrices.count + rows.count))
    }

    private var baseName: String {
        guard case .folder(let folder) = files.base else { return files.baseName }
        return HubCache.repository(ofSnapshot: folder.path) ?? folder.name
    }

    private func matrix(_ module: ModuleInventory.Module) -> PackedMatrixRecord? {
        guard let source = sources[module.name] else { return nil }
        let format = StorageOptions().format(of: source, as: module.name, baseIsQuantized: isQuantized)
        return PackedMatrixRecord(module: module.name, source: source, format: format)
    }

    private func smallFiles() throws(LoadError) -> [(name: String, bytes: [UInt8])] {
        var found: [(String, [UInt8])] = []
        for name in PackedFile.fileNames {
            if let bytes = try files.bytes(of: name) { found.append((name, bytes)) }
        }
        return found
    }

    /// What is not packed: embedding, norms, biases, and V of a matrix whose stored format rounds it.
    private func rowTensors() throws -> [(name: String, tensor: TensorView, blocks: BlockFormat?)] {
        var names: [(name: String, stored: String)] = []
        func add(_ name: String) { names.append((name, name)) }
        for module in inventory.modules {
            switch module.kind {
            case .norm:
                _ = try reader.vector(module.weightName, module.weightShape)
                add(module.weightName)
                if let name = module.biasName {
                    _ = try reader.vector(name, [module.outputs])
                    add(name)
                }
            case .embedding: add(reader.embeddingName)
            case .linear:
                if let name = module.biasName {
                    _ = try reader.vector(name, [module.outputs])
                    add(name)
                }
                if let record = matrix(module), !record.isExact { names += try reader.rowTensors(of: module) }
            }
        }
        // A tied embedding and head may be one tensor under the head's name.
        var seen: Set<String> = []
        names = names.filter { seen.insert($0.name).inserted }
        return try names.map { name, stored in
            guard let blocks = try reader.checkpoint.blocks(stored) else {
                return (name, try reader.checkpoint.tensor(stored), nil)
            }
            return (name, try blocks.inOrder(), blocks.format)
        }
    }
}

extension PackedTensor {
    fileprivate init(_ name: String, _ tensor: TensorView) {
        self.init(name: name, elementType: tensor.elementType, shape: tensor.shape)
    }
}
