import DoraText

/// How many tokens an adapter was trained with: as many as the base has rows for, or more or fewer, where the training
/// added tokens and resized the embeddings (transformers `resize_token_embeddings`) or cut off unused rows.
///
/// The file tells it by the shapes of what it holds for the embedding and the head.
extension AdapterAssembly {
    /// - Throws: `LoadError` when tensors disagree about it.
    static func vocabularySize(
        _ tensors: AdapterTensors, _ configuration: AdapterConfiguration, _ inventory: ModuleInventory
    ) throws(LoadError) -> Int {
        var first: (count: Int, tensor: TensorView)?
        for module in inventory.modules where module.isVocabulary {
            for part in AdapterKey.Part.vocabularyParts(of: module.kind) {
                guard let tensor = tensors[module.name, part], let count = part.tokens(tensor.shape) else {
                    continue
                }
                guard let known = first else {
                    first = (count, tensor)
                    continue
                }
                guard known.count == count else {
                    throw LoadError(
                        .mismatch, file: tensor.file, field: tensor.name,
                        expected: "\(known.count) tokens, as \(known.tensor.name) has",
                        found: TensorShape.describe(tensor.shape),
                        advice: "save the adapter again, with embedding and head resized alike")
                }
            }
        }
        if let first { return first.count }
        let highest = configuration.tokens.flatMap(\.indices).max() ?? 0
        return max(inventory.vocabularySize, highest + 1)
    }

    /// Refuses an adapter of a larger vocabulary whose file lacks rows that the base does not have either.
    /// - Parameter replacements: what the file holds whole.
    func checkRows(
        _ replacements: [String: TensorView], _ tokenRows: [String: TokenRows]
    ) throws(LoadError) {
        let (size, base) = (inventory.vocabularySize, baseVocabularySize)
        guard size > base else { return }
        for module in inventory.modules where module.isVocabulary && replacements[module.weightName] == nil {
            let rows =
                tokenRows[module.name]
                ?? (inventory.tiesWordEmbeddings ? tokenRows[ModuleInventory.embedding] : nil)
            let held = Set(rows?.indices ?? [])
            if (base..<size).allSatisfy(held.contains) { continue }
            throw LoadError(
                .mismatch, file: tensors.path, field: module.weightName,
                "the adapter was trained on a vocabulary resized to \(size) tokens, the base has \(base), and the file"
                    + " does not hold the other rows",
                advice:
                    "save the adapter again with save_embedding_layers=True, or with both embed_tokens and lm_head in"
                    + " modules_to_save; or resize the base's embeddings with transformers (resize_token_embeddings(\(size))), save it, and serve the adapter on that"
            )
        }
    }
}

extension AdapterKey.Part {
    /// Those whose shape says how many tokens there are.
    static func vocabularyParts(of kind: ModuleInventory.Kind) -> [AdapterKey.Part] {
        kind == .embedding
            ? [.weight, .baseWeight, .embeddingA] : [.weight, .baseWeight, .b, .magnitude, .bBias]
    }

    fileprivate func tokens(_ shape: [Int]) -> Int? {
        guard let count = self == .embeddingA ? shape.last : self == .magnitude ? shape.max() : shape.first,
            count > 0
        else { return nil }
        let rank = self == .bBias || self == .magnitude ? 1...2 : 2...2
        return rank.contains(shape.count) ? count : nil
    }
}
