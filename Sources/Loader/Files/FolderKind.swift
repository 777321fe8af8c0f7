import DoraText

/// What a folder is, by the names of its files: said of one that was given in the wrong place, instead of which file it
/// lacks.
enum FolderKind: Equatable {
    case base, adapter
    /// `adapters.safetensors`: its factors are transposed and have other names than PEFT's.
    case mlxAdapter
    /// `consolidated.00.pth`: Meta's own layout.
    case consolidated
    case gguf
    /// A repository's folder in the Hugging Face cache, with its id.
    case cached(String)

    /// Nil for a folder of no known kind, and for what is no folder.
    init?(_ folder: Folder) {
        let isPEFT = folder.contains("adapter_model.safetensors")
        if !isPEFT && (folder.contains("adapters.safetensors") || folder.contains("adapters.npz")) {
            self = .mlxAdapter
        } else if folder.contains(AdapterFolder.configurationName) {
            self = .adapter
        } else if folder.contains("config.json") {
            self = .base
        } else if folder.contains("snapshots"), let id = HubCache.repository(folderName: folder.name[...]) {
            self = .cached(id)
        } else if folder.contains("consolidated.00.pth") || folder.contains("consolidated.safetensors") {
            self = .consolidated
        } else if let names = try? folder.names(), names.contains(where: { $0.hasSuffix(".gguf") }) {
            self = .gguf
        } else {
            return nil
        }
    }

    enum Role: String {
        case base = "a base model"
        case adapter = "an adapter"
    }

    /// - Parameter wanted: what it should have been.
    func refusal(of path: String, wanted: Role) -> LoadError {
        let (kind, advice): (String, String) =
            switch self {
            case .base: ("a base model", "give it as --model")
            case .adapter:
                ("an adapter", "give it as --adapter, and as --model the base that it was trained on")
            case .mlxAdapter:
                ("an adapter of mlx-lm, whose tensors are not PEFT's", "convert it to PEFT's format")
            case .consolidated:
                (
                    "a model in Meta's own layout",
                    "give the folder of its Hugging Face version, with config.json"
                )
            case .gguf: ("a folder of GGUF files", "give one of the files itself, or the first part of one")
            case .cached(let id): ("a repository of the Hugging Face cache", "give its id, \(id)")
            }
        return LoadError(.unsupported, file: path, "this is \(kind), not \(wanted.rawValue)", advice: advice)
    }
}
