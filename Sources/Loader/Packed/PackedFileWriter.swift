import Crypto
import DoraTensor
import Glibc

/// Writes a packed file, whose tensors may come in any order.
final class PackedFileWriter {
    private let file: NewFile
    private let tensors: [PackedTensor]
    private let metadata: [(key: String, value: String)]
    /// Where each tensor's data begin in the file.
    private let offsets: [String: Int]
    private var digests: [String: String] = [:]
    /// Bytes that follow what is written, and where in the file they go.
    private var pending: [UInt8] = []
    private var pendingStart = 0

    /// - Parameter tensors: names are unique; big ones are placed first where that keeps the others aligned.
    /// - Throws: `WriteError`.
    init(_ path: String, tensors: [PackedTensor], metadata: [(key: String, value: String)]) throws(WriteError)
    {
        try Self.checkTarget(path)
        self.tensors = Self.aligned(tensors)
        self.metadata = metadata
        var end = PackedHeader.bytes(self.tensors, metadata: metadata, digests: [:]).count
        var offsets: [String: Int] = [:]
        for tensor in self.tensors {
            offsets[tensor.name] = end
            end += tensor.byteCount
        }
        self.offsets = offsets
        file = try NewFile(path, byteCount: end)
    }

    /// Writes one tensor's data.
    /// - Parameter written: told of each range of bytes that is not needed any more.
    func write(
        _ name: String, _ bytes: UnsafeRawBufferPointer, written: (Range<Int>) -> Void = { _ in }
    ) throws(WriteError) {
        guard let offset = offsets[name] else { return }
        var hash = SHA256()
        var done = 0
        while done < bytes.count {
            let room = Self.stretch - (offset + done) % Self.stretch
            let part = UnsafeRawBufferPointer(rebasing: bytes[done..<min(done + room, bytes.count)])
            hash.update(bufferPointer: part)
            try append(part, at: offset + done)
            written(done..<done + part.count)
            done += part.count
        }
        digests[name] = PackedHeader.hexadecimal(hash.finalize())
    }

    /// Collects what adjoins and writes whole stretches at once: the system then keeps them on huge pages, which
    /// whoever maps the file next shares.
    private func append(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(WriteError) {
        if offset != pendingStart + pending.count {
            try flush()
            pendingStart = offset
        }
        pending += bytes
        if (pendingStart + pending.count).isMultiple(of: Self.stretch) { try flush() }
    }

    private func flush() throws(WriteError) {
        try write(pending, at: pendingStart)
        pendingStart += pending.count
        pending.removeAll(keepingCapacity: true)
    }

    /// Bytes; a multiple of the size of huge pages.
    private static let stretch = 8 << 20

    /// Writes the header, and gives the file its name.
    func finish() throws(WriteError) {
        try flush()
        try write(PackedHeader.bytes(tensors, metadata: metadata, digests: digests), at: 0)
        try file.finish()
    }

    private func write(_ bytes: [UInt8], at offset: Int) throws(WriteError) {
        let result: Result<Void, WriteError> = bytes.withUnsafeBytes { bytes in
            Result { () throws(WriteError) in try file.write(bytes, at: offset) }
        }
        try result.get()
    }

    /// Sorted by the power of two that divides their sizes, up to a line of the cache: every tensor then begins at a
    /// multiple of its own. The order is otherwise as given.
    private static func aligned(_ tensors: [PackedTensor]) -> [PackedTensor] {
        func alignment(_ tensor: PackedTensor) -> Int { min(tensor.byteCount.trailingZeroBitCount, 6) }
        return tensors.enumerated().sorted {
            (-alignment($0.element), $0.offset) < (-alignment($1.element), $1.offset)
        }.map(\.element)
    }

    /// Only a packed file is written over: a slip must not cost anybody a checkpoint.
    private static func checkTarget(_ path: String) throws(WriteError) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFREG, let file = try? MappedFile(path: path),
            status.st_size == 0 || PackedHeader.opens(file.bytes)
        {
            return
        }
        throw WriteError(path, "it exists and is no packed file; remove it or give another name")
    }
}
