import Crypto
package import DoraText

/// A base model in one file, as `dora-pack` writes it: mapped, its matrices used where they lie.
package struct PackedFile: Sendable {
    package let path: String
    let tensors: SafetensorsFile

    /// Maps the file and checks its kind, its version, the header's checksum and the header; reads no tensor.
    /// - Throws: `LoadError`.
    package init(path: String) throws(LoadError) {
        let file = try MappedFile(path: path)
        try PackedHeader.check(file.bytes, file: path)
        file.wantHugePages()
        self.path = path
        tensors = try SafetensorsFile(file)
    }

    /// A file's bytes in memory; `path` only names it in errors.
    init(bytes: [UInt8], path: String) throws(LoadError) {
        let owned = OwnedBytes(bytes)
        try PackedHeader.check(owned.bytes, file: path)
        self.path = path
        tensors = try SafetensorsFile(bytes: bytes, path: path)
    }

    /// The small files of the model that are held as tensors of bytes, under their names.
    static let fileNames =
        [
            "config.json", "generation_config.json", "tokenizer.json", "tokenizer.model",
            "tokenizer_config.json",
            "chat_template.jinja", "chat_template.json",
            "special_tokens_map.json", "added_tokens.json",
        ] + QuantizationConfiguration.ownFiles

    /// Stands in front of what a checkpoint called a tensor of a quantized matrix whose tiles are rounded.
    static let original = "original."

    /// What the writer calls an array of a module's matrix.
    enum Part: String, CaseIterable {
        case codes, scales
        /// Of 4-bit matrices: the sixteen values of an index.
        case values
        /// Of nested scales.
        case map, maxima, offset
        /// Of a matrix whose inputs do not stand in the model's order: which one is at each place.
        case order

        func name(_ module: String) -> String { "\(module).\(rawValue)" }
    }

    /// The name of the folder that was packed.
    var baseName: String? { tensors.metadata[PackedHeader.baseKey] }
    package var tensorCount: Int { tensors.names.count }

    /// Compares every tensor with the checksum that it was written with.
    /// - Throws: `LoadError` `.malformed` naming the first that differs.
    package func verify(progress: (LoadProgress) throws -> Void = { _ in }) throws {
        for (index, name) in tensors.names.enumerated() {
            try progress(LoadProgress(stage: "verifying", done: index, total: tensors.names.count))
            guard let tensor = tensors[name], let written = tensors.metadata[PackedHeader.digestKey(name)]
            else {
                throw LoadError(
                    .malformed, file: path, field: name, "the tensor has no checksum",
                    advice: "pack the model again")
            }
            let found = PackedHeader.hexadecimal(
                tensor.withBytes { bytes in
                    var hash = SHA256()
                    hash.update(bufferPointer: bytes)
                    return hash.finalize()
                })
            tensor.dropPages()
            guard found == written else {
                throw LoadError(
                    .malformed, file: path, field: name, expected: "the checksum \(written)", found: found,
                    advice: "the file is damaged; copy it again, or pack the model again")
            }
        }
        try progress(LoadProgress(stage: "verifying", done: tensors.names.count, total: tensors.names.count))
    }
}
