/// A folder of base weights in the Hugging Face layout: `model.safetensors`, or shards and their index.
///
/// The index and the shards must agree entirely. transformers reads whatever a listed shard holds; a tensor that
/// the index does not list, or lists elsewhere, is therefore refused here instead of being read or left out.
package struct Checkpoint: Sendable {
    package let folder: String
    /// In the order of the file or the index.
    package let names: [String]
    private let shards: [SafetensorsFile]
    private let shardOfName: [String: Int]

    package init(folder path: String) throws(LoadError) {
        let folder = Folder(path)
        if folder.contains(Self.singleName) {
            try self.init(single: folder)
        } else if folder.contains(Self.indexName) {
            try self.init(sharded: folder)
        } else {
            throw Self.noWeights(folder)
        }
    }

    /// A single file.
    /// - Parameter folder: names the whole in messages.
    init(_ file: SafetensorsFile, folder: String) {
        self.folder = folder
        names = file.names
        shards = [file]
        shardOfName = Dictionary(uniqueKeysWithValues: file.names.map { ($0, 0) })
    }

    package subscript(name: String) -> TensorView? {
        shardOfName[name].flatMap { shards[$0][name] }
    }

    /// As `subscript`, for a tensor that must be there.
    /// - Throws: `LoadError` `.missing` that names the tensor.
    package func tensor(_ name: String) throws(LoadError) -> TensorView {
        guard let tensor = self[name] else {
            throw LoadError(
                .missing, file: folder, field: name, "the checkpoint does not hold this tensor",
                advice: "check that config.json belongs to these weights")
        }
        return tensor
    }

    private static let singleName = "model.safetensors"
    private static let indexName = "model.safetensors.index.json"
    /// Far above the index of any model: 10 000 tensors take about 1 MB.
    private static let indexLimit = 100_000_000
}

extension Checkpoint {
    private init(single folder: Folder) throws(LoadError) {
        self.init(try SafetensorsFile(path: folder.file(Self.singleName)), folder: folder.path)
    }

    private init(sharded folder: Folder) throws(LoadError) {
        let indexPath = folder.file(Self.indexName)
        let index = try ShardIndex(
            parsing: try MappedFile.contents(of: indexPath, atMost: Self.indexLimit), file: indexPath)
        var shards: [SafetensorsFile] = []
        var found: [String: Int] = [:]
        for name in index.shards {
            guard folder.contains(name) else {
                throw LoadError(
                    .missing, file: folder.file(name), "the index lists this shard, but it is not there",
                    advice: "download the remaining shards")
            }
            let shard = try SafetensorsFile(path: folder.file(name))
            for tensor in shard.names where found.updateValue(shards.count, forKey: tensor) != nil {
                throw LoadError(
                    .malformed, file: shard.path, field: tensor, "another shard holds this tensor, too",
                    advice: "remove shards of another download from the folder")
            }
            shards.append(shard)
        }
        try Self.check(index, against: shards, in: folder, indexPath)
        self.folder = folder.path
        names = index.placements.map(\.tensor)
        self.shards = shards
        shardOfName = found
    }

    private static func check(
        _ index: ShardIndex, against shards: [SafetensorsFile], in folder: Folder, _ indexPath: String
    ) throws(LoadError) {
        let held = Dictionary(uniqueKeysWithValues: shards.map { ($0.path, Set($0.names)) })
        var listed: Set<String> = []
        for (tensor, shard) in index.placements {
            listed.insert(tensor)
            guard held[folder.file(shard)]?.contains(tensor) == true else {
                throw LoadError(
                    .mismatch, file: indexPath, field: "weight_map.\(tensor)",
                    "\(shard) does not hold this tensor", advice: "use the index that belongs to the shards")
            }
        }
        for shard in shards {
            for tensor in shard.names where !listed.contains(tensor) {
                throw LoadError(
                    .mismatch, file: shard.path, field: tensor, "the index does not list this tensor",
                    advice: "use the index that belongs to the shards")
            }
        }
    }

    private static func noWeights(_ folder: Folder) -> LoadError {
        for name in ["pytorch_model.bin", "pytorch_model.bin.index.json"] where folder.contains(name) {
            return LoadError(
                .unsupported, file: folder.file(name),
                "pickled weights are not read: opening them can run code",
                advice: "save the model again with safe_serialization=True")
        }
        return LoadError(
            .missing, file: folder.file(singleName),
            "there are no weights: neither this file nor \(indexName)",
            advice: "give a folder that holds a Hugging Face model")
    }
}
