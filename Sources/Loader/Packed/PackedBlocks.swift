import DoraTensor
import DoraText

/// Matrices that a packed file holds in the blocks of the GGUF file that it was made from: bytes `[rows, bytes of a row]`,
/// whose format stands in the metadata.
extension SafetensorsFile {
    /// Nil if the tensor is none of those.
    func blocks(_ name: String) throws(LoadError) -> StoredBlocks? {
        let key = PackedHeader.blocksKey(name)
        guard let text = metadata[key], let tensor = self[name] else { return nil }
        guard let format = BlockFormat.all.first(where: { $0.name == text }), tensor.elementType == .u8,
            tensor.shape.count == 2
        else {
            throw LoadError(
                .malformed, file: path, field: key, expected: "a format of blocks, and bytes in rows",
                found: text,
                advice: "pack the model again")
        }
        return StoredBlocks(tensor: tensor, format: format, order: .asStored)
    }
}
