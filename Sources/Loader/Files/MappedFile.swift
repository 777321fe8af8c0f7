package import DoraText
import Glibc

/// A file mapped read-only into memory: bytes are read from disk when they are first touched.
///
/// The mapping lives as long as the object. A file that is cut short after it was mapped is out of scope:
/// reading beyond its new end raises SIGBUS, as with every mapping.
package final class MappedFile: Sendable {
    package let path: String
    /// The whole file. Valid as long as this object lives; never written through.
    // Unsafe only in the eyes of the compiler: the memory is mapped PROT_READ, so any thread may read it.
    package nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

    /// - Throws: `LoadError` `.missing` when the file is not there or may not be read, `.malformed` when the path
    ///   names a folder, a pipe or a device.
    package init(path: String) throws(LoadError) {
        let (descriptor, size) = try Self.open(path)
        defer { close(descriptor) }
        self.path = path
        if size == 0 {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw LoadError(.missing, file: path, "cannot be mapped (\(SystemCall.lastProblem))")
        }
        bytes = UnsafeRawBufferPointer(start: start, count: size)
    }

    /// Opens a plain file for reading. The caller closes it.
    static func open(_ path: String) throws(LoadError) -> (descriptor: Int32, size: Int) {
        // O_NONBLOCK: a pipe without a writer must not make the open wait for one.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            defer { close(descriptor) }
            throw unreadable(path)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "a pipe or device"
            throw LoadError(
                .malformed, file: path, "this is \(kind), not a file", advice: "give the path of a file")
        }
        return (descriptor, Int(status.st_size))
    }

    deinit {
        if let start = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
        }
    }

    /// Asks for large pages, which file systems with large folios can give: streaming matrices then misses the
    /// translation buffer less.
    func wantHugePages() {
        guard let start = bytes.baseAddress else { return }
        madvise(UnsafeMutableRawPointer(mutating: start), bytes.count, MADV_HUGEPAGE)
    }

    /// Gives the memory of the pages around `range` back; they are read from disk again when touched again.
    package func dropPages(_ range: Range<Int>) {
        let range = range.clamped(to: 0..<bytes.count)
        guard let start = bytes.baseAddress, !range.isEmpty else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let first = range.lowerBound / page * page
        madvise(UnsafeMutableRawPointer(mutating: start + first), range.upperBound - first, MADV_DONTNEED)
    }

    /// A copy of a small file, such as a configuration.
    /// - Parameter limit: bytes; a larger file is refused before it is read.
    package static func contents(of path: String, atMost limit: Int) throws(LoadError) -> [UInt8] {
        let (descriptor, size) = try open(path)
        defer { close(descriptor) }
        guard size <= limit else {
            throw LoadError(
                .malformed, file: path, field: "size", expected: "at most \(limit) bytes", found: "\(size)",
                advice: "this is not the file that its name says")
        }
        let bytes = try [UInt8](unsafeUninitializedCapacity: size) { buffer, count throws(LoadError) in
            try read(descriptor, of: path, into: UnsafeMutableRawBufferPointer(buffer))
            count = size
        }
        try GitPointer.refuse(bytes, file: path)
        return bytes
    }

    /// Fills `out` from a file that may change meanwhile, where touching a mapping could raise SIGBUS.
    static func read(
        _ descriptor: Int32, of path: String, into out: UnsafeMutableRawBufferPointer
    ) throws(LoadError) {
        var count = 0
        while count < out.count {
            let got = Glibc.read(descriptor, out.baseAddress.map { $0 + count }, out.count - count)
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else {
                let problem = got < 0 ? SystemCall.lastProblem : "it became shorter while it was read"
                throw LoadError(.missing, file: path, "cannot be read (\(problem))", advice: "try again")
            }
            count += got
        }
    }

    private static func unreadable(_ path: String) -> LoadError {
        if errno == ENOENT || errno == ENOTDIR {
            return LoadError(.missing, file: path, "there is no such file", advice: "check the path")
        }
        return LoadError(
            .missing, file: path, "cannot be read (\(SystemCall.lastProblem))",
            advice: "check the file's permissions")
    }
}
