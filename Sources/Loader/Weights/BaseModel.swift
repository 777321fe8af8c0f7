import DoraTensor
import DoraText

/// A base model: its packed weights, and V of every matrix for merges to read. A value: adapting one leaves its copies
/// as they were.
package struct BaseModel: Sendable {
    /// Of its folder or file, as the user named it.
    package let path: String
    /// What an adapter's `base_model_name_or_path` is compared with.
    package let name: String
    package let configuration: ModelConfiguration
    package let inventory: ModuleInventory
    package let storage: StorageOptions
    package internal(set) var weights: ModelWeights
    package let warnings: [LoadWarning]
    let sources: [String: any WeightSource]
    /// Whether adapters of other bases are served although the base's weights are scaled otherwise than theirs.
    package var acceptsOtherBase = false

    /// Whether an adapter must name this base as the one that it was trained on.
    package var isBaseRequired: Bool {
        !acceptsOtherBase && configuration.quantization?.scalesInputs == true
    }

    /// The source of a linear module, or the embedding's table seen as one.
    func source(of module: String) throws(LoadError) -> any WeightSource {
        guard let source = sources[module] else {
            throw LoadError(.missing, file: path, field: module, "the base has no such matrix")
        }
        return source
    }
}

/// Steps of a long load or merge, for a progress bar.
package struct LoadProgress: Sendable {
    package let stage: String
    package let done: Int
    package let total: Int

    package init(stage: String, done: Int, total: Int) {
        self.stage = stage
        self.done = done
        self.total = total
    }
}
