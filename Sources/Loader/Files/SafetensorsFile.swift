package import DoraText

/// A safetensors file: named tensors, read where they lie.
///
/// Source: the format's description in safetensors `README.md`; all its rules are enforced.
package struct SafetensorsFile: Sendable {
    package let path: String
    private let header: SafetensorsHeader
    private let storage: ByteStorage

    /// Maps the file and checks its header.
    package init(path: String) throws(LoadError) {
        try self.init(.mapped(MappedFile(path: path)), path: path)
    }

    /// A file that is mapped already.
    init(_ file: MappedFile) throws(LoadError) {
        try self.init(.mapped(file), path: file.path)
    }

    /// Reads the file into memory: for one that may change or vanish while it is in use.
    package init(reading path: String) throws(LoadError) {
        try self.init(.owned(OwnedBytes(readingFile: path)), path: path)
    }

    /// A file's bytes in memory; `path` only names it in errors.
    package init(bytes: [UInt8], path: String) throws(LoadError) {
        try self.init(.owned(OwnedBytes(bytes)), path: path)
    }

    private init(_ storage: ByteStorage, path: String) throws(LoadError) {
        self.path = path
        self.storage = storage
        header = try SafetensorsHeader(storage.bytes, file: path)
    }

    /// The tensors' names in file order.
    package var names: [String] { header.names }

    /// The free-form strings beside the tensors, e.g. `format: pt`.
    package var metadata: [String: String] { header.metadata }

    /// The whole file.
    func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        withExtendedLifetime(storage) { body(storage.bytes) }
    }

    package subscript(name: String) -> TensorView? {
        guard let entry = header.entries[name] else { return nil }
        let start = header.dataStart + entry.range.lowerBound
        // The header's checks make this initializer succeed.
        return try? TensorView(
            name: name, file: path, elementType: entry.elementType, shape: entry.shape, storage: storage,
            range: start..<start + entry.range.count)
    }
}
