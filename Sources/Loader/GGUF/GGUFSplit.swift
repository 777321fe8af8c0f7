import DoraText

/// A model in several files, `NAME-00001-of-00003.gguf` and so on, as llama.cpp's `gguf-split` writes them: each has the
/// infos of its own tensors, the first also the model's metadata.
enum GGUFSplit {
    private static let countKey = "split.count"
    private static let indexKey = "split.no"

    /// All parts in order, whichever of them `path` names.
    static func parts(of path: String) throws(LoadError) -> [GGUFFile] {
        let file = try GGUFFile(path: path)
        let count = try file.integer(countKey) ?? 1
        if count <= 1 { return [file] }
        guard let name = PartName(path), name.count == count else {
            throw LoadError(
                .unsupported, file: path, field: countKey,
                "this is one of \(count) parts, and its name does not say where the others are",
                advice: "call the parts NAME-00001-of-\(PartName.digits(count)).gguf and so on")
        }
        var parts: [GGUFFile] = []
        for index in 1...count {
            let part = index == name.index ? file : try open(name.path(of: index), of: path)
            guard try part.integer(indexKey) == index - 1, try part.integer(countKey) == count else {
                throw LoadError(
                    .mismatch, file: part.path, field: indexKey, expected: "part \(index - 1) of \(count)",
                    found: "another", advice: "download the parts again")
            }
            parts.append(part)
        }
        let total = parts.reduce(0) { $0 + $1.tensorNames.count }
        if let expected = try parts[0].integer("split.tensors.count"), expected != total {
            throw LoadError(
                .mismatch, file: parts[0].path, field: "split.tensors.count", expected: "\(expected) tensors",
                found: "\(total) in all parts", advice: "download the parts again")
        }
        return parts
    }

    private static func open(_ path: String, of whole: String) throws(LoadError) -> GGUFFile {
        guard Folder(path).isThere else {
            throw LoadError(
                .missing, file: path, "this part of \(whole) is not there",
                advice: "download the remaining parts")
        }
        return try GGUFFile(path: path)
    }
}

/// `NAME-00001-of-00003.gguf`.
private struct PartName {
    let index: Int
    let count: Int
    private let stem: Substring

    init?(_ path: String) {
        let ending = ".gguf"
        guard path.hasSuffix(ending) else { return nil }
        let parts = path.dropLast(ending.count).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[parts.count - 2] == "of",
            let count = Self.number(parts[parts.count - 1]), let index = Self.number(parts[parts.count - 3]),
            (1...count).contains(index)
        else { return nil }
        self.index = index
        self.count = count
        stem = path[..<parts[parts.count - 3].startIndex]
    }

    func path(of index: Int) -> String { "\(stem)\(Self.digits(index))-of-\(Self.digits(count)).gguf" }

    static func digits(_ number: Int) -> String {
        String(repeating: "0", count: max(0, 5 - "\(number)".count)) + "\(number)"
    }

    private static func number(_ text: Substring) -> Int? {
        guard text.count == 5, text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(text),
            number > 0
        else { return nil }
        return number
    }
}
