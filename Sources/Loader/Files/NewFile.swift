import Glibc

/// A file that appears under its name when it is complete, and replaces another of that name in one step.
///
/// Before, it has no name at all where the file system can do that: however the program ends, the system removes it.
/// Elsewhere it has a temporary name beside its own.
package final class NewFile {
    private let path: String
    /// What messages call it.
    private let shown: String
    private let temporary: String
    private let descriptor: Int32
    private var isNamed: Bool
    private var isFinished = false

    /// Sets the file's space aside.
    /// - Parameters:
    ///   - place: the folder on whose file system it lies before it has a name; nil for its own, which must be there.
    ///   - shown: what messages call it, where that is not its path.
    package init(
        _ path: String, byteCount: Int, before place: String? = nil, shown: String? = nil
    ) throws(WriteError) {
        self.path = path
        self.shown = shown ?? path
        temporary = "\(path).\(getpid()).partial"
        let unnamed = Self.openUnnamed(in: place ?? Self.folder(of: path))
        isNamed = unnamed < 0
        descriptor =
            isNamed
            ? open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o666) : unnamed
        guard descriptor >= 0 else { throw WriteError(self.shown) }
        // A full disk is better known now than in ten minutes.
        let problem = byteCount > 0 ? posix_fallocate(descriptor, 0, off_t(byteCount)) : 0
        guard problem == 0 else {
            throw WriteError(
                self.shown, "\(byteCount) bytes are needed: \(String(cString: strerror(problem)))")
        }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        if isNamed && !isFinished { unlink(temporary) }
    }

    /// A new file without a name; below 0 where the file system has none such.
    static func openUnnamed(in folder: String) -> Int32 {
        // O_TMPFILE, whose macro Swift does not see.
        open(folder, O_RDWR | O_CLOEXEC | O_DIRECTORY | 0o20_000_000, 0o666)
    }

    /// What the file can be read by before it has its name.
    package var openPath: String { "/proc/self/fd/\(descriptor)" }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(WriteError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw WriteError(shown) }
            done += count
        }
    }

    /// Gives the file its name once all is on the disk.
    package func finish() throws(WriteError) {
        guard fsync(descriptor) == 0 else { throw WriteError(shown) }
        if !isNamed {
            let result = linkat(
                AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, temporary, AT_SYMLINK_FOLLOW)
            guard result == 0 else { throw WriteError(shown) }
            isNamed = true
        }
        guard rename(temporary, path) == 0 else { throw WriteError(shown) }
        isFinished = true
        let folder = open(Self.folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// Why a file could not be written.
package struct WriteError: Error, Equatable, CustomStringConvertible {
    package let path: String
    package let problem: String

    package init(_ path: String, _ problem: String) {
        self.path = path
        self.problem = problem
    }

    /// What `errno` says, asked at once after the call that failed.
    init(_ path: String) { self.init(path, SystemCall.lastProblem) }

    package var description: String { "\(path): cannot be written: \(problem)" }
}
