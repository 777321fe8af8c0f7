import Glibc

/// A folder that appears under its name with all its files in it.
///
/// Before, these have no names where the file system can do that: however the program ends, the system removes them.
/// Elsewhere they lie in a folder of a temporary name beside it.
package final class NewFolder {
    private let path: String
    private let temporary: String
    private var files: [(name: String, file: NewFile)] = []
    private var isMade = false
    private var isFinished = false

    /// - Throws: `WriteError` when there is something under the name, but for an empty folder, or nothing can be written
    ///   beside it.
    package init(_ path: String) throws(WriteError) {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed = trimmed.dropLast() }
        self.path = String(trimmed)
        temporary = "\(trimmed).\(getpid()).partial"
        try Self.check(path)
        let probe = NewFile.openUnnamed(in: parent)
        if probe >= 0 { close(probe) } else { try make() }
    }

    deinit {
        guard isMade, !isFinished else { return }
        for (name, _) in files { unlink("\(temporary)/\(name)") }
        // Those without a name of their own yet remove their temporary ones first.
        files.removeAll()
        rmdir(temporary)
    }

    /// Whether a folder could be made under that name.
    package static func check(_ path: String) throws(WriteError) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw WriteError(path, "it exists and is no folder; give another name")
        }
        guard let names = try? Folder(path).names(), names.isEmpty else {
            throw WriteError(path, "the folder exists and is not empty; give another name")
        }
    }

    /// A file of the folder, with its space set aside.
    package func file(_ name: String, byteCount: Int) throws(WriteError) -> NewFile {
        let file = try NewFile(
            "\(temporary)/\(name)", byteCount: byteCount, before: isMade ? nil : parent,
            shown: "\(path)/\(name)")
        files.append((name, file))
        return file
    }

    /// A file that is at hand.
    package func add(_ name: String, _ bytes: [UInt8]) throws(WriteError) {
        let file = try file(name, byteCount: bytes.count)
        let result: Result<Void, WriteError> = bytes.withUnsafeBytes { bytes in
            Result { () throws(WriteError) in try file.write(bytes, at: 0) }
        }
        try result.get()
    }

    /// Gives the files and the folder their names once all is on the disk.
    package func finish() throws(WriteError) {
        if !isMade { try make() }
        for (_, file) in files { try file.finish() }
        // An empty folder of that name gives way.
        guard rename(temporary, path) == 0 else { throw WriteError(path) }
        isFinished = true
        let folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    private var parent: String { NewFile.folder(of: path) }

    private func make() throws(WriteError) {
        guard mkdir(temporary, 0o777) == 0 else { throw WriteError(path) }
        isMade = true
    }
}
