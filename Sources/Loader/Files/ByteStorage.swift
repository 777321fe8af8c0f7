import DoraTensor
import DoraText

#if canImport(Glibc)
import Glibc
#endif

/// What keeps the bytes of tensors alive and where they are: a mapped file, or memory of our own.
enum ByteStorage: Sendable {
    case mapped(MappedFile)
    case owned(OwnedBytes)

    /// Valid while this value, or a copy of it, lives.
    var bytes: UnsafeRawBufferPointer {
        switch self {
        case .mapped(let file): file.bytes
        case .owned(let owner): owner.bytes
        }
    }

    /// A part of the bytes that stays while the result lives; then its pages leave this process's memory.
    func part(_ range: Range<Int>) -> SharedBytes {
        let part = UnsafeRawBufferPointer(rebasing: bytes[range])
        return switch self {
        case .mapped(let file): SharedBytes(part, of: MappedPart(file: file, range: range))
        case .owned(let owner): SharedBytes(part, of: owner)
        }
    }

    func dropPages(_ range: Range<Int>) {
        if case .mapped(let file) = self { file.dropPages(range) }
    }
}

/// A part of a mapped file that is in use.
private final class MappedPart: Sendable {
    private let file: MappedFile
    private let range: Range<Int>

    init(file: MappedFile, range: Range<Int>) {
        self.file = file
        self.range = range
    }

    deinit { file.dropPages(range) }
}

/// An immutable copy of bytes at an address that does not move.
final class OwnedBytes: Sendable {
    // Written once, before the object is shared; only read afterwards.
    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    /// Where the bytes of a file lie: it may be as large as it claims, and what it took goes back to the system.
    private let memory: AlignedMemory?

    init(_ bytes: [UInt8]) {
        self.bytes = bytes.withUnsafeBytes(Self.copy)
        memory = nil
    }

    /// The whole of a file, which may change afterwards.
    init(readingFile path: String) throws(LoadError) {
        let file = try MappedFile.open(path)
        defer { close(file.descriptor) }
        let memory: AlignedMemory
        do { memory = try AlignedMemory(byteCount: file.size) } catch {
            throw LoadError(
                .missing, file: path, "cannot be read (there is no memory for its \(file.size) bytes)")
        }
        let copy = UnsafeMutableRawBufferPointer(start: memory.pointer, count: file.size)
        try MappedFile.read(file.descriptor, of: path, into: copy)
        bytes = UnsafeRawBufferPointer(copy)
        self.memory = memory
    }

    init(_ floats: [Float]) {
        bytes = floats.withUnsafeBytes(Self.copy)
        memory = nil
    }

    deinit {
        if memory == nil { bytes.deallocate() }
    }

    private static func copy(_ source: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 64)
        copy.copyMemory(from: source)
        return UnsafeRawBufferPointer(copy)
    }
}
