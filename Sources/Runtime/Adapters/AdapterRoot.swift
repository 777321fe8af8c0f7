package import DoraLoader

#if canImport(Glibc)
import Glibc
#endif

/// The folder under which clients may name adapters. They never reach a path outside it, symbolic links included.
package struct AdapterRoot: Sendable {
    package let path: String
    /// The root with its links followed.
    private let realPath: String

    package init(_ path: String) throws(LoadError) {
        guard let real = Self.resolve(path), Folder(real).contains(".") else {
            throw LoadError(
                .missing, file: path, "the adapter root cannot be opened",
                advice: "give the path of a folder that this user may read")
        }
        self.path = path
        realPath = real
    }

    /// The folder that `relative` means, if it is a folder of an adapter inside the root.
    package func folder(_ relative: String) throws(EngineError) -> String? {
        let hasOddParts = relative.split(separator: "/", omittingEmptySubsequences: false).contains {
            $0.isEmpty || $0 == "." || $0 == ".." || $0.contains("\0")
        }
        if hasOddParts {
            throw EngineError(
                .invalidRequest, "bad_path", "a path is relative to the adapter root, without '.' and '..'",
                param: "path")
        }
        guard let real = Self.resolve(realPath + "/" + relative) else { return nil }
        guard real.hasPrefix(realPath == "/" ? "/" : realPath + "/") else {
            throw EngineError(
                .invalidRequest, "bad_path", "'\(relative)' leads out of the adapter root", param: "path")
        }
        return Folder(real).contains("adapter_config.json") ? real : nil
    }

    /// Names of the adapters that lie directly in the root, sorted.
    package func names() -> [String] {
        let names = (try? Folder(realPath).names()) ?? []
        return names.filter { AdapterName.isValid($0) && ((try? folder($0)) ?? nil) != nil }
    }

    private static func resolve(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}

/// What a name stands for on disk.
enum AdapterPlace: Equatable {
    /// As the command line gave it.
    case folder(String)
    /// Relative to the adapter root.
    case underRoot(String)
}
