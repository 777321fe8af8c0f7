import DoraTensor
import DoraText

/// Finds the tensors of every module of an inventory in a checkpoint.
struct CheckpointReader {
    let checkpoint: Checkpoint
    private let packed: PackedFile?
    private let inventory: ModuleInventory
    private let quantization: Quantization?
    private let format: any CheckpointFormat

    /// Tensors of what sees pictures.
    private let visionTensors: Int

    init(
        _ files: ModelFiles, _ configuration: ModelConfiguration, inventory: ModuleInventory,
        quantization: Quantization?
    ) throws(LoadError) {
        let stored = try Checkpoint(files)
        packed = if case .packed(let file) = files.base { file } else { nil }
        checkpoint =
            inventory.isMultimodal
            ? stored.renamed { MultimodalNames.isVision($0) ? nil : MultimodalNames.plain($0) } : stored
        visionTensors = stored.names.count - checkpoint.names.count
        self.inventory = inventory
        self.quantization = quantization
        format = configuration.quantization?.format ?? Bitsandbytes()
    }

    /// V of every linear module and of the embedding.
    func sources(on compute: Compute) throws -> [String: any WeightSource] {
        var sources: [String: any WeightSource] = [:]
        for module in inventory.modules {
            switch module.kind {
            case .norm: continue
            case .embedding:
                sources[module.name] = try matrix(
                    embeddingName, rows: module.inputs, columns: module.outputs)
            case .linear: sources[module.name] = try linear(module, on: compute)
            }
        }
        return sources
    }

    /// The tensor of the embedding. Where it is tied to the head, some files hold the one tensor under the head's name.
    var embeddingName: String {
        let (own, head) = (ModuleInventory.embedding + ".weight", ModuleInventory.head + ".weight")
        return inventory.tiesWordEmbeddings && !checkpoint.contains(own) && checkpoint.contains(head)
            ? head : own
    }

    private func linear(
        _ module: ModuleInventory.Module, on compute: Compute
    ) throws -> any WeightSource {
        if let packed {
            try refuseQuantizingPacked()
            let matrix = try packed.weights(of: module) { () throws(LoadError) in
                if let weights = try format.weights(tensors(of: module)) { return weights }
                return try plain(module)
            }
            if let matrix { return matrix }
        }
        if let weights = try format.weights(tensors(of: module)) {
            try refuseQuantizingAgain(module.weightName)
            return weights
        }
        let weights = try plain(module)
        guard let quantization, module.name != ModuleInventory.head else { return weights }
        guard let dense = weights as? DenseWeights else {
            try refuseQuantizingAgain(module.weightName)
            return weights
        }
        return try quantization.quantize(dense, on: compute)
    }

    private func tensors(of module: ModuleInventory.Module) -> ModuleTensors {
        ModuleTensors(
            checkpoint: checkpoint, module: module.name, rows: module.outputs, columns: module.inputs,
            infix: packed == nil ? "" : PackedFile.original)
    }

    /// The tensors that V of a linear module is decoded from, with the names that a packed file has for them.
    func rowTensors(of module: ModuleInventory.Module) throws(LoadError) -> [(name: String, stored: String)] {
        let tensors = tensors(of: module)
        guard try format.weights(tensors) != nil else {
            return checkpoint.contains(module.weightName) ? [(module.weightName, module.weightName)] : []
        }
        return partNames.filter { tensors[$0] != nil }.map {
            ("\(module.name).\(PackedFile.original)\($0)", tensors.name($0))
        }
    }

    private var partNames: [String] { ["weight"] + type(of: format).parts }

    /// A matrix of floats or in blocks; a head without one of its own shares the embedding's.
    private func plain(_ module: ModuleInventory.Module) throws(LoadError) -> any WeightSource {
        var name = module.weightName
        if !checkpoint.contains(name), module.name == ModuleInventory.head {
            guard inventory.tiesWordEmbeddings else {
                throw missing(
                    name,
                    advice: "if the head shares the embedding's weights, config.json must say so: "
                        + "\"tie_word_embeddings\": true")
            }
            name = embeddingName
        }
        return try matrix(name, rows: module.outputs, columns: module.inputs)
    }

    private func matrix(_ name: String, rows: Int, columns: Int) throws(LoadError) -> any WeightSource {
        if let blocks = try checkpoint.blocks(name) {
            return try BlockWeights(blocks, rows: rows, columns: columns)
        }
        return try DenseWeights(
            checkpoint.tensor(name), rows: rows, columns: columns, order: checkpoint.rowOrder(of: name))
    }

    private func missing(
        _ name: String, advice: String = "check that config.json belongs to these weights"
    ) -> LoadError {
        LoadError(
            .missing, file: checkpoint.folder, field: name, "the checkpoint does not hold this tensor",
            advice: advice)
    }

    private func refuseQuantizingAgain(_ name: String) throws(LoadError) {
        guard let quantization else { return }
        throw LoadError(
            .mismatch, file: checkpoint.folder, field: name,
            "--quantize \(quantization.rawValue) is for 16- and 32-bit checkpoints, and this one is quantized already",
            advice: "leave --quantize out")
    }

    private func refuseQuantizingPacked() throws(LoadError) {
        guard let quantization else { return }
        throw LoadError(
            .mismatch, file: checkpoint.folder,
            "--quantize \(quantization.rawValue) is for folders, and this file is packed already",
            advice: "leave --quantize out, or pack the folder with it")
    }

    /// A tensor that no module reads would change what the model computes, and is refused; so is one that a module would
    /// read if the index listed it.
    func refuseLeftovers() throws(LoadError) {
        let known = knownNames
        for name in checkpoint.names where !known.contains(name) && !Self.followsFromConfiguration(name) {
            if let tensor = checkpoint[name], try format.hasNoEffect(tensor) { continue }
            throw LoadError(
                .unsupported, file: checkpoint.folder, field: name,
                "no module of this configuration has such a tensor",
                advice: "check that config.json belongs to these weights")
        }
        for (name, file) in checkpoint.unlisted where known.contains(name) {
            throw LoadError(
                .mismatch, file: file, field: name, "the index does not list this tensor",
                advice: "use the index that belongs to the shards")
        }
    }

    /// What the index leaves out is no part of the model; it may be the wrong index all the same.
    var warnings: [LoadWarning] { unlistedWarning + visionWarning }

    private var visionWarning: [LoadWarning] {
        visionTensors == 0
            ? []
            : [
                LoadWarning(
                    "\(checkpoint.folder): \(visionTensors) tensors of the part that sees pictures are left out"
                )
            ]
    }

    private var unlistedWarning: [LoadWarning] {
        let names = checkpoint.unlisted.map(\.tensor).filter { !Self.followsFromConfiguration($0) }
        if names.isEmpty { return [] }
        return [
            LoadWarning(
                "\(checkpoint.folder): \(names.firstAndCount): in the shards, but not in their index: left out",
                details: names.map { "\($0): in a shard, but not in the index" })
        ]
    }

    /// Old checkpoints carry the rotary frequencies, which follow from the configuration.
    private static func followsFromConfiguration(_ name: String) -> Bool {
        name.hasSuffix("rotary_emb.inv_freq")
    }

    private var knownNames: Set<String> {
        let suffixes = ["bias"] + partNames
        var known: Set<String> = []
        for module in inventory.modules {
            for suffix in suffixes where suffix != "bias" || module.hasBias {
                known.insert("\(module.name).\(suffix)")
            }
            guard packed != nil else { continue }
            known.formUnion(PackedFile.Part.allCases.map { $0.name(module.name) })
            known.formUnion(partNames.map { "\(module.name).\(PackedFile.original)\($0)" })
        }
        if packed != nil { known.formUnion(PackedFile.fileNames) }
        return known
    }

    func weights(
        _ configuration: ModelConfiguration, sources: [String: any WeightSource],
        packed: [String: PackedMatrix]
    ) throws(LoadError) -> ModelWeights {
        guard let embedding = sources[ModuleInventory.embedding], let head = inventory[ModuleInventory.head]
        else {
            throw missing(ModuleInventory.embedding + ".weight")
        }
        let layer = LayerWeights(configuration)
        var weights = ModelWeights(
            embedding: Embedding(source: embedding),
            layers: [LayerWeights](repeating: layer, count: configuration.layerCount),
            finalNorm: Norm(count: configuration.hiddenSize), head: try linear(head, packed))
        for module in inventory.modules {
            switch module.place {
            case .embedding, .head: continue
            case .projection(let layer, let projection):
                weights.layers[layer][projection] = try linear(module, packed)
            case .norm, .finalNorm:
                weights.setNorm(
                    at: module.place,
                    weight: inventory.normWeight(try vector(module.weightName, module.weightShape)),
                    bias: try module.biasName.map { name throws(LoadError) in
                        try vector(name, [module.outputs])
                    })
            }
        }
        return weights
    }

    private func linear(
        _ module: ModuleInventory.Module, _ packed: [String: PackedMatrix]
    ) throws(LoadError) -> Linear {
        guard let matrix = packed[module.name] else { throw missing(module.weightName) }
        return Linear(
            matrix: matrix,
            bias: try module.biasName.map { name throws(LoadError) in try vector(name, [module.outputs]) })
    }

    func vector(_ name: String, _ shape: [Int]) throws(LoadError) -> [Float] {
        let tensor = try checkpoint.tensor(name)
        guard tensor.shape == shape else {
            throw LoadError(
                .mismatch, file: tensor.file, field: name, expected: "\(shape)", found: "\(tensor.shape)",
                advice: "check that config.json belongs to these weights")
        }
        return try tensor.floats()
    }
}
