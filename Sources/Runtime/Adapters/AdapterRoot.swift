import DoraLoader
package import DoraText

/// The folder under which clients may name adapters. They never reach a path outside it, symbolic links included.
package struct AdapterRoot: Sendable {
    package let path: String
    /// The root with its links followed.
    private let realPath: String

    package init(_ path: String) throws(LoadError) {
        guard let real = Folder(path).realPath, Folder(real).contains(".") else {
            throw LoadError(
                .missing, file: path, "the adapter root cannot be opened",
                advice: "give the path of a folder that this user may read")
        }
        self.path = path
        realPath = real
    }

    /// The folder that `relative` means, if it is a folder of an adapter inside the root.
    /// - Throws: `bad_path` for a path that leads out of the root, `unknown_adapter` for a folder that only holds adapters.
    package func folder(_ relative: String) throws(EngineError) -> String? {
        let hasOddParts = relative.split(separator: "/", omittingEmptySubsequences: false).contains {
            $0.isEmpty || $0 == "." || $0 == ".." || $0.contains("\0")
        }
        if hasOddParts {
            throw EngineError(
                .invalidRequest, "bad_path", "a path is relative to the adapter root, without '.' and '..'",
                param: "path")
        }
        guard let real = Folder(realPath + "/" + relative).realPath else { return nil }
        guard real.hasPrefix(realPath == "/" ? "/" : realPath + "/") else {
            throw EngineError(
                .invalidRequest, "bad_path", "'\(relative)' leads out of the adapter root", param: "path")
        }
        if Folder(real).contains(AdapterFolder.configurationName) { return real }
        let inside = AdapterFolder.adapters(in: Folder(real), depth: 1).map { "\(relative)/\($0)" }
        if inside.isEmpty { return nil }
        throw EngineError(
            .notFound, "unknown_adapter",
            "'\(relative)' under the adapter root is no adapter but holds \(inside.listed); load one by its path",
            param: "adapter")
    }

    /// Names of the adapters that lie directly in the root, sorted. Only links are followed: among ten thousand folders
    /// that costs one call each.
    package func names() -> [String] {
        let root = Folder(realPath)
        let entries = (try? root.entries()) ?? []
        return entries.filter { entry in
            guard AdapterName.isValid(entry.name) else { return false }
            if entry.isFolder {
                return Folder(root.file(entry.name)).contains(AdapterFolder.configurationName)
            }
            return ((try? folder(entry.name)) ?? nil) != nil
        }.map(\.name)
    }
}

/// What a name stands for on disk.
enum AdapterPlace: Equatable {
    /// As the command line gave it.
    case folder(String)
    /// Relative to the adapter root.
    case underRoot(String)
}
