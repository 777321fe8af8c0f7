package import DoraTensor

extension BaseModel {
    /// Reads a folder in the Hugging Face layout and packs its matrices.
    ///
    /// - Parameter quantization: applied to the linear layers of a 16- or 32-bit checkpoint, `lm_head` excepted. A
    ///   checkpoint that is quantized already is refused with it.
    /// - Throws: `LoadError` naming file and tensor; `ComputeError` when memory runs out.
    package init(
        folder: String, quantization: Quantization? = nil, storage: StorageOptions = StorageOptions(),
        on compute: Compute, progress: (LoadProgress) -> Void = { _ in }
    ) throws {
        let configuration = try ModelConfiguration(folder: folder)
        let inventory = ModuleInventory(configuration)
        let checkpoint = try Checkpoint(folder: folder)
        let reader = CheckpointReader(
            checkpoint: checkpoint, inventory: inventory, quantization: quantization)
        let sources = try reader.sources(on: compute)
        try reader.refuseLeftovers()
        let isQuantized = sources.contains {
            $0.key != ModuleInventory.head && $0.value.nativeFormat.isQuantized
        }
        var packed: [String: PackedMatrix] = [:]
        let linear = inventory.modules.filter { $0.kind == .linear }
        for (index, module) in linear.enumerated() {
            progress(LoadProgress(stage: "loading", done: index, total: linear.count))
            guard let source = sources[module.name] else { continue }
            let format =
                module.name == ModuleInventory.head
                ? storage.headFormat(of: source, baseIsQuantized: isQuantized) : storage.format(of: source)
            packed[module.name] = try source.packed(as: format, on: compute)
        }
        progress(LoadProgress(stage: "loading", done: linear.count, total: linear.count))
        self.init(
            folder: folder, configuration: configuration, inventory: inventory, storage: storage,
            weights: try reader.weights(configuration, sources: sources, packed: packed),
            warnings: Self.warnings(configuration, quantization: quantization, isQuantized: isQuantized),
            sources: sources)
    }

    private static func warnings(
        _ configuration: ModelConfiguration, quantization: Quantization?, isQuantized: Bool
    ) -> [String] {
        guard configuration.quantization != nil, !isQuantized else { return [] }
        return [
            "config.json names a bitsandbytes quantization, but the weights are not quantized; "
                + "to run as transformers would, give --quantize"
        ]
    }
}

/// Finds the tensors of every module of an inventory in a checkpoint.
private struct CheckpointReader {
    let checkpoint: Checkpoint
    let inventory: ModuleInventory
    let quantization: Quantization?

    /// V of every linear module and of the embedding.
    func sources(on compute: Compute) throws(LoadError) -> [String: any WeightSource] {
        var sources: [String: any WeightSource] = [:]
        for module in inventory.modules {
            switch module.kind {
            case .norm: continue
            case .embedding:
                sources[module.name] = try DenseWeights(
                    checkpoint.tensor(module.weightName), rows: module.inputs, columns: module.outputs)
            case .linear: sources[module.name] = try linear(module, on: compute)
            }
        }
        return sources
    }

    private func linear(
        _ module: ModuleInventory.Module, on compute: Compute
    ) throws(LoadError) -> any WeightSource {
        let (rows, columns) = (module.outputs, module.inputs)
        if let state = FourBitWeights.stateName(of: module.name, in: checkpoint) {
            try refuseQuantizingAgain(module.weightName)
            return try FourBitWeights(
                module: module.name, stateName: state, in: checkpoint, rows: rows, columns: columns)
        }
        guard let weight = checkpoint[module.weightName] else {
            guard module.name == ModuleInventory.head, inventory.tiesWordEmbeddings else {
                throw missing(module.weightName)
            }
            return try DenseWeights(
                checkpoint.tensor(ModuleInventory.embedding + ".weight"), rows: rows, columns: columns)
        }
        if weight.elementType == .i8 {
            try refuseQuantizingAgain(module.weightName)
            try checkLayout(module.name)
            return try Int8Weights(
                weight: weight, rowMaxima: checkpoint.tensor("\(module.name).SCB"), rows: rows,
                columns: columns)
        }
        let dense = try DenseWeights(weight, rows: rows, columns: columns)
        guard let quantization, module.name != ModuleInventory.head else { return dense }
        return try quantization.quantize(dense, on: compute)
    }

    private func missing(_ name: String) -> LoadError {
        LoadError(
            .missing, file: checkpoint.folder, field: name, "the checkpoint does not hold this tensor",
            advice: "check that config.json belongs to these weights")
    }

    private func refuseQuantizingAgain(_ name: String) throws(LoadError) {
        guard let quantization else { return }
        throw LoadError(
            .mismatch, file: checkpoint.folder, field: name,
            "--quantize \(quantization.rawValue) is for 16- and 32-bit checkpoints, and this one is quantized already",
            advice: "leave --quantize out")
    }

    /// `weight_format` 0, row-major, is the only layout that bitsandbytes still writes.
    private func checkLayout(_ module: String) throws(LoadError) {
        guard let layout = checkpoint["\(module).weight_format"] else { return }
        let values = try layout.integers()
        guard values.allSatisfy({ $0 == 0 }) else {
            throw LoadError(
                .unsupported, file: layout.file, field: layout.name, expected: "0 (row-major)",
                found: "\(values)", advice: "save the model again with a current bitsandbytes")
        }
    }

    /// A tensor that no module reads would change what the model computes, and is refused.
    func refuseLeftovers() throws(LoadError) {
        let suffixes = [
            "weight", "bias", "SCB", "weight_format", "weight.absmax", "weight.quant_map",
            "weight.nested_absmax", "weight.nested_quant_map", "weight.quant_state.bitsandbytes__nf4",
            "weight.quant_state.bitsandbytes__fp4",
        ]
        var known: Set<String> = []
        for module in inventory.modules {
            for suffix in suffixes where suffix != "bias" || module.hasBias {
                known.insert("\(module.name).\(suffix)")
            }
        }
        // Old checkpoints carry the rotary frequencies, which follow from the configuration.
        for name in checkpoint.names where !known.contains(name) && !name.hasSuffix("rotary_emb.inv_freq") {
            throw LoadError(
                .unsupported, file: checkpoint.folder, field: name,
                "no module of this configuration has such a tensor",
                advice: "check that config.json belongs to these weights")
        }
    }

    func weights(
        _ configuration: ModelConfiguration, sources: [String: any WeightSource],
        packed: [String: PackedMatrix]
    ) throws(LoadError) -> ModelWeights {
        guard let embedding = sources[ModuleInventory.embedding] else {
            throw missing(ModuleInventory.embedding + ".weight")
        }
        var layers: [LayerWeights] = []
        for layer in 0..<configuration.layerCount {
            let name = "model.layers.\(layer)"
            var projections: [Linear] = []
            for projection in Projection.allCases {
                projections.append(try linear("\(name).\(projection.name)", packed))
            }
            layers.append(
                LayerWeights(
                    inputNorm: try vector("\(name).input_layernorm.weight", configuration.hiddenSize),
                    postAttentionNorm: try vector(
                        "\(name).post_attention_layernorm.weight", configuration.hiddenSize),
                    projections: projections))
        }
        return ModelWeights(
            embedding: Embedding(source: embedding), layers: layers,
            finalNorm: try vector("model.norm.weight", configuration.hiddenSize),
            head: try linear(ModuleInventory.head, packed))
    }

    private func linear(_ module: String, _ packed: [String: PackedMatrix]) throws(LoadError) -> Linear {
        guard let matrix = packed[module], let description = inventory[module] else {
            throw missing(module + ".weight")
        }
        return Linear(
            matrix: matrix,
            bias: try description.biasName.map { name throws(LoadError) in
                try vector(name, description.outputs)
            })
    }

    private func vector(_ name: String, _ count: Int) throws(LoadError) -> [Float] {
        let tensor = try checkpoint.tensor(name)
        guard tensor.shape == [count] else {
            throw LoadError(
                .mismatch, file: tensor.file, field: name, expected: "[\(count)]", found: "\(tensor.shape)",
                advice: "check that config.json belongs to these weights")
        }
        return try tensor.floats()
    }
}
