import DoraText

/// What takes the place of base tensors: saved modules, biases, copies of embeddings, and single token rows.
extension AdapterAssembly {
    /// Full tensors by the name of the base's. The file decides which there are; those that the configuration
    /// promises must be among them.
    func replacements() throws(LoadError) -> [String: TensorView] {
        var replacements: [String: TensorView] = [:]
        for module in inventory.modules {
            if let weight = try one(.weight, or: .baseWeight, of: module) {
                try check(weight, shape: module.weightShape, module)
                replacements[module.weightName] = weight
            } else if isSaved(module) {
                throw error(
                    .missing, module, .weight,
                    "modules_to_save names this module, but the file does not hold it",
                    advice: "save the adapter again")
            }
            if let bias = try one(.bias, or: .baseBias, of: module) {
                guard let name = module.biasName else {
                    throw LoadError(
                        .mismatch, file: bias.file, field: bias.name,
                        "\(module.name) of the base has no bias",
                        advice: "serve the adapter with the base on which it was trained")
                }
                try check(bias, shape: [module.outputs], module)
                replacements[name] = bias
            } else if hasTrainedBias(module) {
                throw error(
                    .missing, module, .bias,
                    "bias is \"\(configuration.bias.rawValue)\", but the file holds none",
                    advice: "save the adapter again with a recent version of PEFT")
            }
        }
        if inventory.tiesWordEmbeddings { tie(&replacements) }
        return replacements
    }

    /// In a tied model a plain tensor of one side is loaded into the parameter that both share. What `modules_to_save`
    /// names has a copy of its own instead; what lies under factors is the base's, unless it was resized.
    private func tie(_ replacements: inout [String: TensorView]) {
        let sides = [ModuleInventory.embedding, ModuleInventory.head].compactMap { inventory[$0] }
        for (side, other) in zip(sides, sides.reversed()) where !isSaved(side) && !isSaved(other) {
            let isShared =
                tensors[side.name, .weight] != nil || inventory.vocabularySize != baseVocabularySize
            if isShared, let shared = replacements[side.weightName], replacements[other.weightName] == nil {
                replacements[other.weightName] = shared
            }
        }
    }

    /// As PEFT wraps them: by the end of the name, without a dot before it.
    private func isSaved(_ module: ModuleInventory.Module) -> Bool {
        configuration.savedModules.contains { module.name.hasSuffix($0) }
    }

    private func hasTrainedBias(_ module: ModuleInventory.Module) -> Bool {
        guard module.hasBias else { return false }
        switch configuration.bias {
        case .none: return false
        case .all: return true
        case .adapted: return tensors.isAdapted(module.name)
        }
    }

    private func one(
        _ part: AdapterKey.Part, or other: AdapterKey.Part, of module: ModuleInventory.Module
    ) throws(LoadError) -> TensorView? {
        guard let first = tensors[module.name, part] else { return tensors[module.name, other] }
        if let second = tensors[module.name, other] {
            throw LoadError(
                .malformed, file: second.file, field: second.name, "\(first.name) replaces the same tensor",
                advice: "keep one of them")
        }
        return first
    }

    private func check(
        _ tensor: TensorView, shape: [Int], _ module: ModuleInventory.Module
    ) throws(LoadError) {
        guard tensor.count > 0 else { throw Self.sharded(tensor) }
        guard tensor.shape == shape else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name, expected: TensorShape.describe(shape),
                found: TensorShape.describe(tensor.shape),
                advice: "serve the adapter with the base on which it was trained")
        }
        try checkFinite(tensor)
    }

    /// In pieces, because an embedding may be a gigabyte.
    private func checkFinite(_ tensor: TensorView) throws(LoadError) {
        let piece = 1 << 16
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: piece)
        defer { buffer.deallocate() }
        var start = 0
        while start < tensor.count {
            let end = min(start + piece, tensor.count)
            try tensor.readFloats(start..<end, into: buffer)
            guard buffer[..<(end - start)].allSatisfy(\.isFinite) else { throw Self.notFinite(tensor) }
            start = end
        }
        tensor.dropPages()
    }
}

extension AdapterAssembly {
    /// Replaced rows of embeddings; the rows stand in the order of the configuration's indices.
    func tokenRows() throws(LoadError) -> [String: TokenRows] {
        var result: [String: TokenRows] = [:]
        for module in inventory.modules {
            let selection = tokenSelection(of: module.name)
            guard let tensor = tensors[module.name, .tokenRows] else {
                if selection != nil && !isTiedHead(module) {
                    throw error(
                        .missing, module, .tokenRows,
                        "trainable_token_indices names this module, but the file holds no rows for it",
                        advice: "save the adapter again")
                }
                continue
            }
            guard let selection,
                module.name == ModuleInventory.embedding || module.name == ModuleInventory.head
            else {
                throw LoadError(
                    .mismatch, file: tensor.file, field: tensor.name,
                    "token rows that trainable_token_indices does not list",
                    advice: "use the configuration that was saved with the weights")
            }
            result[module.name] = try rows(tensor, selection.indices, of: module)
        }
        return result
    }

    private func rows(
        _ tensor: TensorView, _ indices: [Int], of module: ModuleInventory.Module
    ) throws(LoadError) -> TokenRows {
        let (vocabulary, hidden) =
            module.kind == .embedding ? (module.inputs, module.outputs) : (module.outputs, module.inputs)
        guard indices.allSatisfy({ $0 < vocabulary }), Set(indices).count == indices.count else {
            throw LoadError(
                .mismatch, file: configuration.file, field: "trainable_token_indices",
                "the indices must be different and below the vocabulary's size of \(vocabulary)",
                advice: "serve the adapter with the base on which it was trained")
        }
        return TokenRows(
            indices: indices, rows: try Self.numbers(tensor, shape: [indices.count, hidden]))
    }

    private func isTiedHead(_ module: ModuleInventory.Module) -> Bool {
        module.name == ModuleInventory.head && inventory.tiesWordEmbeddings
    }

    func tokenSelection(of module: String) -> AdapterConfiguration.TokenSelection? {
        configuration.tokens.first { selection in
            guard let name = selection.module else {
                return module == ModuleInventory.embedding
                    || module == ModuleInventory.head && inventory.tiesWordEmbeddings
            }
            return module == name || module.hasSuffix("." + name)
        }
    }
}
