import DoraLoader
import DoraTensor

/// Tests mostly read folders.
extension BaseModel {
    init(
        folder: String, quantization: Quantization? = nil, storage: StorageOptions = StorageOptions(),
        on compute: Compute
    ) throws {
        try self.init(ModelFiles(folder), quantization: quantization, storage: storage, on: compute)
    }
}

extension ModelConfiguration {
    init(folder: String) throws { try self.init(ModelFiles(folder)) }
}
