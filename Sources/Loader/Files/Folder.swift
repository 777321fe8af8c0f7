package import DoraText
import Glibc

/// A folder of model or adapter files, as the user named it.
package struct Folder: Equatable, Sendable {
    package let path: String

    package init(_ path: String) {
        self.path = path
    }

    /// The last part of its path, of the real one where that is only dots.
    var name: String {
        func last(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
        let name = last(path)
        guard name == "." || name == "..", let real = realPath else { return name }
        return last(real)
    }

    /// Its path with all links followed; nil when it is not there. Of a file, too.
    package var realPath: String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    /// Whether there is anything under its path.
    package var isThere: Bool { access(path, F_OK) == 0 }

    /// The path of one of its files.
    package func file(_ name: String) -> String {
        path.hasSuffix("/") ? path + name : path + "/" + name
    }

    /// Whether an entry of that name is there, readable or not.
    package func contains(_ name: String) -> Bool {
        access(file(name), F_OK) == 0
    }

    /// The names of its entries, sorted by bytes; `.` and `..` are left out.
    /// - Throws: `LoadError` `.missing` when the folder cannot be opened.
    package func names() throws(LoadError) -> [String] {
        try entries().map(\.name)
    }

    /// As `names`, and which of them are folders as far as the folder itself says: a link is none.
    package func entries() throws(LoadError) -> [(name: String, isFolder: Bool)] {
        guard let stream = opendir(path) else {
            throw LoadError(
                .missing, file: path, "the folder cannot be opened (\(SystemCall.lastProblem))",
                advice: "give the path of a folder that this user may read")
        }
        defer { closedir(stream) }
        var entries: [(name: String, isFolder: Bool)] = []
        while let entry = readdir(stream) {
            // In place: the record ends with the name, and a copy of the whole type would read beyond it.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." {
                entries.append((name, entry.pointee.d_type == UInt8(DT_DIR)))
            }
        }
        return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
}

enum SystemCall {
    /// What `errno` says, read at once after the call that failed.
    static var lastProblem: String {
        String(cString: strerror(errno))
    }
}
