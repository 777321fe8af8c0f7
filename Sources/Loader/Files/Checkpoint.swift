package import DoraText

/// The weights of a base: a folder in the Hugging Face layout, `model.safetensors` or shards and their index; a packed
/// file; or a GGUF file.
///
/// The index says which tensors there are; they are read from whichever shard holds them. What it lists and no shard
/// holds is missed by those who need it, and a tensor that it does not list is left out, as transformers 5 does.
package struct Checkpoint: Sendable {
    package let folder: String
    /// In the order of the file or the index.
    package let names: [String]
    /// Tensors of the shards that the index does not list.
    let unlisted: [(tensor: String, file: String)]
    private let shards: [SafetensorsFile]
    private let shardOfName: [String: Int]
    /// What the file calls a tensor, where that is not its name here.
    private var storedNames: [String: String] = [:]
    /// Tensors that the index lists and no shard holds, with the shard in which it says they are.
    private let absent: [String: String]
    private let gguf: GGUFModel?

    init(_ files: ModelFiles) throws(LoadError) {
        switch files {
        case .folder(let folder): try self.init(folder: folder.path)
        case .packed(let file): self.init(file.tensors, folder: file.path)
        case .gguf(let model): self.init(model)
        case .retokenized(let base, tokenizer: _): try self.init(base)
        }
    }

    package init(folder path: String) throws(LoadError) {
        let folder = Folder(path)
        if folder.contains(Self.singleName) {
            try self.init(single: folder)
        } else if folder.contains(Self.indexName) {
            try self.init(sharded: folder)
        } else if let name = Self.oldName(in: folder) {
            self.init(try SafetensorsFile(path: folder.file(name)), folder: folder.path)
        } else {
            throw Self.noWeights(folder)
        }
    }

    /// A single file.
    /// - Parameter folder: names the whole in messages.
    init(_ file: SafetensorsFile, folder: String) {
        self.folder = folder
        names = file.names
        unlisted = []
        absent = [:]
        shards = [file]
        shardOfName = Dictionary(uniqueKeysWithValues: file.names.map { ($0, 0) })
        gguf = nil
    }

    init(_ model: GGUFModel) {
        folder = model.path
        names = model.tensorNames
        unlisted = []
        absent = [:]
        shards = []
        shardOfName = [:]
        gguf = model
    }

    package subscript(name: String) -> TensorView? {
        if let gguf { return (try? gguf.tensor(name)) ?? nil }
        return shardOfName[name].flatMap { shards[$0][storedNames[name] ?? name] }
    }

    /// The same tensors under other names, without those that have none.
    func renamed(_ rename: (_ stored: String) -> String?) -> Checkpoint {
        func pairs<Value>(_ values: [String: Value]) -> [String: Value] {
            Dictionary(
                values.compactMap { name, value in rename(name).map { ($0, value) } },
                uniquingKeysWith: { first, _ in first })
        }
        var stored: [String: String] = [:]
        for name in names { if let new = rename(name), stored[new] == nil { stored[new] = name } }
        return Checkpoint(
            folder: folder, names: names.compactMap(rename),
            unlisted: unlisted.compactMap { tensor, file in rename(tensor).map { (tensor: $0, file: file) } },
            shards: shards, shardOfName: pairs(shardOfName), absent: pairs(absent), storedNames: stored,
            gguf: gguf)
    }

    private init(
        folder: String, names: [String], unlisted: [(tensor: String, file: String)],
        shards: [SafetensorsFile],
        shardOfName: [String: Int], absent: [String: String], storedNames: [String: String],
        gguf: GGUFModel?
    ) {
        self.folder = folder
        self.names = names
        self.unlisted = unlisted
        self.shards = shards
        self.shardOfName = shardOfName
        self.absent = absent
        self.storedNames = storedNames
        self.gguf = gguf
    }

    /// Whether it is there, in whatever format.
    func contains(_ name: String) -> Bool { gguf?.contains(name) ?? (shardOfName[name] != nil) }

    /// A matrix in the blocks of a GGUF file; nil if it is one of floats or not there.
    func blocks(_ name: String) throws(LoadError) -> StoredBlocks? {
        if let gguf { return try gguf.blocks(name) }
        return try shardOfName[name].flatMap { index throws(LoadError) in
            try shards[index].blocks(storedNames[name] ?? name)
        }
    }

    /// Which row is which of a matrix of floats.
    func rowOrder(of name: String) throws(LoadError) -> RowOrder { try gguf?.rowOrder(of: name) ?? .asStored }

    /// As `subscript`, for a tensor that must be there.
    /// - Throws: `LoadError` `.missing` that names the tensor.
    package func tensor(_ name: String) throws(LoadError) -> TensorView {
        if let tensor = try gguf?.tensor(name) ?? self[name] { return tensor }
        if let blocks = try blocks(name) {
            throw LoadError(
                .unsupported, file: blocks.tensor.file, field: name, expected: "F32, F16 or BF16",
                found: blocks.format.name, advice: "use a file in which only matrices are quantized")
        }
        if let shard = absent[name] {
            throw LoadError(
                .missing, file: folder, field: name,
                "the index lists this tensor, but \(shard) does not hold it",
                advice: "download the shards again, or use the index that belongs to them")
        }
        throw LoadError(
            .missing, file: folder, field: name, "the checkpoint does not hold this tensor",
            advice: "check that config.json belongs to these weights")
    }

    /// AutoGPTQ put bits and group size into the name: `gptq_model-4bit-128g.safetensors`.
    private static func oldName(in folder: Folder) -> String? {
        let names = ((try? folder.names()) ?? []).filter {
            $0.hasPrefix("gptq_model") && $0.hasSuffix(".safetensors")
        }
        return names.count == 1 ? names.first : nil
    }

    private static let singleName = "model.safetensors"
    private static let indexName = "model.safetensors.index.json"
    /// Far above the index of any model: 10 000 tensors take about 1 MB.
    static let indexLimit = 100_000_000
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
        let listed = Set(index.placements.map(\.tensor))
        self.folder = folder.path
        names = index.placements.map(\.tensor).filter { found[$0] != nil }
        unlisted = shards.flatMap { shard in
            shard.names.filter { !listed.contains($0) }.map { (tensor: $0, file: shard.path) }
        }
        absent = Dictionary(
            uniqueKeysWithValues: index.placements.filter { found[$0.tensor] == nil }.map {
                ($0.tensor, $0.shard)
            })
        self.shards = shards
        gguf = nil
        shardOfName = found.filter { listed.contains($0.key) }
    }

    private static func noWeights(_ folder: Folder) -> LoadError {
        // An adapter's folder may hold a copy of the base's configuration.
        if let kind = FolderKind(folder), kind != .base {
            return kind.refusal(of: folder.path, wanted: .base)
        }
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
