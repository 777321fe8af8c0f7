package import DoraText
import Glibc

/// Where a base model is read from: a folder in the Hugging Face layout, or one file that holds all of it, packed or GGUF.
package enum ModelFiles: Sendable {
    case folder(Folder)
    case packed(PackedFile)
    case gguf(GGUFModel)
    /// A model with the tokenizer of another place.
    indirect case retokenized(ModelFiles, tokenizer: ModelFiles)

    /// - Throws: `LoadError` when `path` names a file that is no model.
    package init(_ path: String) throws(LoadError) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            self = .folder(Folder(path))
            return
        }
        self = try Self.isGGUF(path) ? .gguf(GGUFModel(path: path)) : .packed(PackedFile(path: path))
    }

    /// - Parameter tokenizer: path of a folder or file whose tokenizer and chat template stand for the model's.
    /// - Throws: `LoadError`, also when there is no tokenizer in that place.
    package init(_ path: String, tokenizer: String?) throws(LoadError) {
        try self.init(path)
        guard let tokenizer else { return }
        let place = try ModelFiles(tokenizer)
        var isThere = false
        for name in Self.vocabularyNames where try place.bytes(of: name) != nil { isThere = true }
        guard isThere else {
            throw LoadError(
                .missing, file: tokenizer, "there is no tokenizer.json or tokenizer.model in this place",
                advice: "give a folder that holds a tokenizer")
        }
        self = .retokenized(self, tokenizer: place)
    }

    static let vocabularyNames = ["tokenizer.json", "tokenizer.model"]
    /// Files that say how texts become tokens.
    private static let tokenizerNames = Set(
        vocabularyNames + ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
            + ChatFormatFiles.names)

    private static func isGGUF(_ path: String) -> Bool {
        (try? MappedFile(path: path)).map { GGUFHeader.opens($0.bytes) } ?? false
    }

    /// The model without a tokenizer of another place.
    var base: ModelFiles { if case .retokenized(let base, tokenizer: _) = self { base } else { self } }

    /// Bytes of a small file at most: ten times the largest tokenizer that is known.
    static let largestFile = 256 << 20

    /// As the user named it.
    package var path: String {
        switch self {
        case .folder(let folder): folder.path
        case .packed(let file): file.path
        case .gguf(let model): model.path
        case .retokenized(let base, tokenizer: _): base.path
        }
    }

    /// What adapters call the base that they were trained on ends with the same name: the folder's, or that of the
    /// repository whose snapshot in the Hugging Face cache the folder is.
    package var baseName: String {
        switch self {
        case .folder(let folder): HubCache.repository(ofSnapshot: folder.path) ?? folder.path
        case .packed(let file): file.baseName ?? file.path
        case .gguf(let model): model.path
        case .retokenized(let base, tokenizer: _): base.baseName
        }
    }

    /// How one of the small files is called in messages.
    func path(of name: String) -> String {
        switch self {
        case .folder(let folder): folder.file(name)
        case .packed(let file): "\(file.path): \(name)"
        case .gguf(let model): "\(model.path): \(name)"
        case .retokenized(let base, let tokenizer):
            (Self.tokenizerNames.contains(name) ? tokenizer : base).path(of: name)
        }
    }

    /// One of the small files; nil when there is none of that name.
    /// - Parameter limit: bytes; a larger file is refused.
    func bytes(of name: String, atMost limit: Int = largestFile) throws(LoadError) -> [UInt8]? {
        switch self {
        case .folder(let folder):
            let path = folder.file(name)
            if access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR) { return nil }
            return try MappedFile.contents(of: path, atMost: limit)
        case .packed(let file):
            guard let tensor = file.tensors[name] else { return nil }
            guard tensor.byteCount <= limit else {
                throw LoadError(
                    .malformed, file: file.path, field: name, expected: "at most \(limit) bytes",
                    found: "\(tensor.byteCount)", advice: "pack the model again")
            }
            return tensor.withBytes { [UInt8]($0) }
        case .gguf(let model): return try model.bytes(of: name)
        case .retokenized(let base, let tokenizer):
            return try (Self.tokenizerNames.contains(name) ? tokenizer : base).bytes(of: name, atMost: limit)
        }
    }
}

extension ModelFiles {
    /// Why there is no configuration: most likely the path is not that of a base model.
    func noConfiguration(_ name: String) -> LoadError {
        guard case .folder(let folder) = base else {
            return LoadError(
                .malformed, file: path, field: name, "the file lacks it", advice: "pack the model again")
        }
        if let kind = FolderKind(folder) { return kind.refusal(of: folder.path, wanted: .base) }
        let problem =
            folder.isThere ? "there is no base model in this folder" : "there is no such file or folder"
        let nested = ((try? folder.names()) ?? []).first { Folder(folder.file($0)).contains(name) }
        return LoadError(
            .missing, file: folder.file(name), problem,
            advice: nested.map { "did you mean its subfolder \($0)?" }
                ?? "give the folder of a Hugging Face model, a file of dora-pack, or the id of a model in the cache"
        )
    }
}
