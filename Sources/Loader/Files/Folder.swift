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
        guard name == "." || name == "..", let real = realpath(path, nil) else { return name }
        defer { free(real) }
        return last(String(cString: real))
    }

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
        guard let stream = opendir(path) else {
            throw LoadError(
                .missing, file: path, "the folder cannot be opened (\(SystemCall.lastProblem))",
                advice: "give the path of a folder that this user may read")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            // In place: the record ends with the name, and a copy of the whole type would read beyond it.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}

enum SystemCall {
    /// What `errno` says, read at once after the call that failed.
    static var lastProblem: String {
        String(cString: strerror(errno))
    }
}
