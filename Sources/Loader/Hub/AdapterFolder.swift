import DoraText

/// Which folder an adapter lies in, when a trainer's output was given: `checkpoint-N` folders, or adapters with names.
package enum AdapterFolder {
    package static let configurationName = "adapter_config.json"

    /// The folder itself, or the only adapter in it or in its subfolders. A folder without any stays as it is, for those
    /// who open it.
    /// - Throws: `LoadError` that lists them when there are several.
    static func find(_ path: String) throws(LoadError) -> String {
        let folder = Folder(path)
        if folder.contains(configurationName) { return path }
        let found = adapters(in: folder)
        if found.count > 1 { throw several(found, in: folder) }
        return found.first.map { folder.file($0) } ?? path
    }

    /// The configuration's path.
    /// - Throws: `LoadError` that says what the folder is instead.
    static func configuration(in folder: Folder) throws(LoadError) -> String {
        let kind = FolderKind(folder)
        if kind == .adapter { return folder.file(configurationName) }
        if let kind { throw kind.refusal(of: folder.path, wanted: .adapter) }
        let found = adapters(in: folder)
        if found.count > 1 { throw several(found, in: folder) }
        if !folder.contains(".") && folder.isThere {
            throw LoadError(
                .missing, file: folder.path, "this is a file, and an adapter is a folder",
                advice: "give the folder that holds it")
        }
        // Says what the system says about a folder that cannot be read.
        _ = try folder.names()
        throw LoadError(
            .missing, file: folder.file(configurationName), "there is no adapter in this folder",
            advice: found.first.map { "did you mean its subfolder \($0)?" }
                ?? "give the folder that PEFT's save_pretrained wrote")
    }

    /// Paths of the adapters in a folder, relative to it; checkpoints in the order of training.
    /// - Parameter depth: 1 for its own subfolders only; 2 for theirs, too, where those hold none.
    package static func adapters(in folder: Folder, depth: Int = 2) -> [String] {
        let names = ((try? folder.names()) ?? []).filter { !$0.hasPrefix(".") }
        let direct = names.filter { Folder(folder.file($0)).contains(configurationName) }
        if !direct.isEmpty || depth < 2 { return direct.inTrainingOrder }
        return names.inTrainingOrder.flatMap { name in
            adapters(in: Folder(folder.file(name)), depth: depth - 1).map { "\(name)/\($0)" }
        }
    }

    private static func several(_ found: [String], in folder: Folder) -> LoadError {
        LoadError(
            .unsupported, file: folder.path,
            "there are \(found.count) adapters in this folder: \(found.listed)",
            advice: "give one of them, e.g. \(folder.file(found[found.count - 1]))")
    }
}

extension [String] {
    /// `checkpoint-500` stands before `checkpoint-1000`.
    fileprivate var inTrainingOrder: [String] {
        func key(_ name: String) -> (String, Int) {
            let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }
            return (String(name.dropLast(digits.count)), Int(String(digits.reversed())) ?? 0)
        }
        return sorted { key($0) < key($1) }
    }

    /// All of a few, the last of many.
    package var listed: String {
        let shown = suffix(20).joined(separator: ", ")
        return count > 20 ? "… (\(count - 20) more), " + shown : shown
    }
}
