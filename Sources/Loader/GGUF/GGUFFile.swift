import DoraTensor
import DoraText

/// A GGUF file: metadata and tensors, read where they lie.
struct GGUFFile: Sendable {
    let path: String
    private let header: GGUFHeader
    private let storage: ByteStorage

    /// Maps the file and checks its header; reads no tensor.
    init(path: String) throws(LoadError) {
        try self.init(.mapped(MappedFile(path: path)), path: path)
    }

    /// A file's bytes in memory; `path` only names it in errors.
    init(bytes: [UInt8], path: String) throws(LoadError) {
        try self.init(.owned(OwnedBytes(bytes)), path: path)
    }

    private init(_ storage: ByteStorage, path: String) throws(LoadError) {
        self.path = path
        self.storage = storage
        header = try GGUFHeader(storage.bytes, file: path)
    }

    /// In file order.
    var tensorNames: [String] { header.names }

    func shape(of tensor: String) -> [Int]? { header.tensors[tensor]?.shape }

    func format(of tensor: String) -> BlockFormat? { header.tensors[tensor]?.format }

    /// The tensor's bytes: floats under their type, blocks as `[rows, bytes of a row]`.
    /// - Parameter newName: what messages call it.
    func view(of tensor: String, as newName: String) throws(LoadError) -> TensorView? {
        guard let entry = header.tensors[tensor] else { return nil }
        let rowBytes = entry.format.byteCount(ofRow: entry.shape.last ?? 0)
        return try TensorView(
            name: newName, file: path, elementType: entry.format.elementType ?? .u8,
            shape: entry.format.elementType == nil ? entry.shape.dropLast() + [rowBytes] : entry.shape,
            storage: storage, range: entry.range)
    }
}

/// Metadata by key: an answer of another kind is an error that names the key.
extension GGUFFile {
    func contains(_ key: String) -> Bool { header.metadata[key] != nil }

    func value(_ key: String) -> GGUFValue? { header.metadata[key] }

    func integer(_ key: String) throws(LoadError) -> Int? {
        switch header.metadata[key] {
        case nil: nil
        case .integer(let value): value
        case .some(let other): throw mismatch(key, expected: "an integer", other)
        }
    }

    func bool(_ key: String) throws(LoadError) -> Bool? {
        switch header.metadata[key] {
        case nil: nil
        case .bool(let value): value
        case .some(let other): throw mismatch(key, expected: "true or false", other)
        }
    }

    func string(_ key: String) throws(LoadError) -> String? {
        switch header.metadata[key] {
        case nil: return nil
        case .string(let range):
            guard let text = storage.withBytes({ String(validating: $0[range], as: UTF8.self) }) else {
                throw LoadError(
                    .malformed, file: path, field: key, "the string is not valid UTF-8",
                    advice: "convert the model again")
            }
            return text
        case .some(let other): throw mismatch(key, expected: "a string", other)
        }
    }

    /// An array of numbers or bools.
    func numbers(_ key: String) throws(LoadError) -> [GGUFValue]? {
        guard let array = try array(key) else { return nil }
        guard array.type != .string else {
            throw mismatch(key, expected: "an array of numbers", .array(array))
        }
        var numbers: [GGUFValue] = []
        numbers.reserveCapacity(array.count)
        try elements(array, key) { cursor throws(LoadError) in
            numbers.append(try cursor.value(of: array.type))
        }
        return numbers
    }

    /// An array of strings, as bytes.
    func strings(_ key: String) throws(LoadError) -> [[UInt8]]? {
        guard let array = try array(key) else { return nil }
        guard array.type == .string else {
            throw mismatch(key, expected: "an array of strings", .array(array))
        }
        var strings: [[UInt8]] = []
        strings.reserveCapacity(array.count)
        let bytes = storage.bytes
        try elements(array, key) { cursor throws(LoadError) in
            strings.append([UInt8](bytes[try cursor.string()]))
        }
        return strings
    }

    private func array(_ key: String) throws(LoadError) -> GGUFArray? {
        switch header.metadata[key] {
        case nil: nil
        case .array(let array): array
        case .some(let other): throw mismatch(key, expected: "an array", other)
        }
    }

    private func elements(
        _ array: GGUFArray, _ key: String, _ body: (inout GGUFCursor) throws(LoadError) -> Void
    ) throws(LoadError) {
        let storage = storage
        defer { withExtendedLifetime(storage) {} }
        var cursor = GGUFCursor(storage.bytes, file: path, offset: array.range.lowerBound)
        cursor.field = key
        for _ in 0..<array.count { try body(&cursor) }
    }

    func missing(_ key: String) -> LoadError {
        LoadError(.malformed, file: path, field: key, "the key is missing", advice: "convert the model again")
    }

    func mismatch(_ key: String, expected: String, _ value: GGUFValue) -> LoadError {
        LoadError(
            .malformed, file: path, field: key, expected: expected, found: value.kind,
            advice: "convert the model again")
    }
}

extension ByteStorage {
    /// Calls `body` with the bytes, which stay alive for the call.
    fileprivate func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withExtendedLifetime(self) { body(bytes) }
    }
}
