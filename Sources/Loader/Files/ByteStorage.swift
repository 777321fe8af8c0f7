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

    var owner: any AnyObject & Sendable {
        switch self {
        case .mapped(let file): file
        case .owned(let owner): owner
        }
    }

    func dropPages(_ range: Range<Int>) {
        if case .mapped(let file) = self { file.dropPages(range) }
    }
}

/// An immutable copy of bytes at an address that does not move.
final class OwnedBytes: Sendable {
    // Written once, before the object is shared; only read afterwards.
    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

    init(_ bytes: [UInt8]) {
        self.bytes = bytes.withUnsafeBytes(Self.copy)
    }

    /// The whole of a file, which may change afterwards.
    init(readingFile path: String) throws(LoadError) {
        let file = try MappedFile.open(path)
        defer { close(file.descriptor) }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: file.size, alignment: 64)
        do throws(LoadError) { try MappedFile.read(file.descriptor, of: path, into: copy) } catch {
            copy.deallocate()
            throw error
        }
        bytes = UnsafeRawBufferPointer(copy)
    }

    init(_ floats: [Float]) {
        bytes = floats.withUnsafeBytes(Self.copy)
    }

    deinit {
        bytes.deallocate()
    }

    private static func copy(_ source: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 64)
        copy.copyMemory(from: source)
        return UnsafeRawBufferPointer(copy)
    }
}
