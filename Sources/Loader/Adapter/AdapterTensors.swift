import DoraTensor
import DoraText

/// The tensors of an adapter's files by what they are, each name understood and each module known.
struct AdapterTensors: Sendable {
    /// The file, or the first of its shards, for errors about what is not in it.
    let path: String
    /// Of the files' bytes, in the order of their names.
    let digest: FilesDigest
    private(set) var byKey: [AdapterKey: TensorView] = [:]
    /// Modules that have any part of an update.
    private let adapted: Set<String>
    /// How the file spells the modules of a model that also sees pictures.
    let spelling: MultimodalNames
    /// Tensors for what sees pictures, which never act on text.
    private(set) var visionTensors = 0

    init(
        _ folder: Folder, of words: MethodVocabulary, fitting inventory: ModuleInventory
    ) throws(LoadError) {
        let files = try Self.open(folder)
        path = files.first?.path ?? folder.path
        digest = FilesDigest(of: files)
        spelling =
            inventory.isMultimodal
            ? files.lazy.flatMap(\.names).compactMap { MultimodalNames($0) }.first ?? .plain : .plain
        var strangers: [(file: String, name: String)] = []
        for file in files {
            for name in file.names {
                guard let tensor = file[name],
                    let key = AdapterKey(name, parameters: words.parameters, shared: words.shared)
                else {
                    strangers.append((file.path, name))
                    continue
                }
                if key.part == .original { continue }
                if inventory.isMultimodal && MultimodalNames.isVision(key.module + ".") {
                    visionTensors += 1
                    continue
                }
                try Self.check(tensor, key, inventory)
                // PEFT writes a saved embedding twice when it also saves the embedding layers.
                if let twin = byKey[key], twin.isIdentical(to: tensor) { continue }
                guard byKey.updateValue(tensor, forKey: key) == nil else {
                    throw LoadError(
                        .malformed, file: file.path, field: name, "another tensor means the same weight",
                        advice: "keep one adapter in the file")
                }
            }
        }
        if let first = strangers.first {
            throw Self.refusal(first.file, strangers.map(\.name), words.title)
        }
        adapted = Set(byKey.keys.filter { $0.part.isUpdate }.map(\.module))
    }

    subscript(module: String, part: AdapterKey.Part) -> TensorView? {
        byKey[AdapterKey(module: module, part: part)]
    }

    /// A parameter of all modules.
    subscript(shared name: String) -> TensorView? { self["", .parameter(name)] }

    /// Whether `module` has any part of an update.
    func isAdapted(_ module: String) -> Bool { adapted.contains(module) }
}

extension AdapterKey {
    init(module: String, part: Part) {
        self.module = module
        self.part = part
    }
}

extension AdapterKey.Part {
    /// Whether it belongs to an update of the base's weight.
    var isUpdate: Bool {
        switch self {
        case .a, .b, .bBias, .embeddingA, .embeddingB, .magnitude, .parameter: true
        case .weight, .bias, .baseWeight, .baseBias, .tokenRows, .original: false
        }
    }
}

extension AdapterTensors {
    private static let single = "adapter_model.safetensors"

    /// transformers splits large adapters into `adapter_model-00001-of-00002.safetensors` and so on.
    private static func open(_ folder: Folder) throws(LoadError) -> [SafetensorsFile] {
        if folder.contains(single) { return [try SafetensorsFile(reading: folder.file(single))] }
        let names = try folder.names()
        let shards = names.filter { $0.hasPrefix("adapter_model-") && $0.hasSuffix(".safetensors") }
        guard let first = shards.first else { throw noWeights(folder) }
        let total = first.dropLast(".safetensors".count).split(separator: "-").last.flatMap { Int($0) }
        guard total == shards.count else {
            throw LoadError(
                .missing, file: folder.file(first), field: "file name",
                expected: "as many shards as their names say", found: "\(shards.count)",
                advice: "copy the remaining shards here")
        }
        var files: [SafetensorsFile] = []
        for shard in shards { files.append(try SafetensorsFile(reading: folder.file(shard))) }
        return files
    }

    private static func noWeights(_ folder: Folder) -> LoadError {
        if folder.contains(PickledAdapter.name) { return PickledAdapter.refusal(in: folder) }
        return LoadError(
            .missing, file: folder.file(single), "the adapter's weights are not there",
            advice: "give the folder that PEFT's save_pretrained wrote")
    }

    private static func check(
        _ tensor: TensorView, _ key: AdapterKey, _ inventory: ModuleInventory
    ) throws(LoadError) {
        guard key.module.isEmpty || inventory[key.module] != nil else {
            throw LoadError(
                .mismatch, file: tensor.file, field: tensor.name,
                "the base, of \(inventory.layerCount) layers, has no module \(key.module)",
                advice: "serve the adapter with the base on which it was trained")
        }
        switch tensor.elementType {
        case .f32, .f16, .bf16: return
        default:
            throw LoadError(
                .unsupported, file: tensor.file, field: tensor.name, expected: "F32, F16 or BF16",
                found: tensor.elementType.rawValue, advice: "convert the adapter")
        }
    }

    private static func refusal(_ file: String, _ names: [String], _ title: String) -> LoadError {
        let foreign = ["dora_scale", "lora_up", "lora_down", "hada_", "lokr_", "lora_a", "lora_b"]
        let isForeign = foreign.contains { mark in names.contains { $0.contains(mark) } }
        let others = names.count > 1 ? " (and \(names.count - 1) more, e.g. \(names[names.count - 1]))" : ""
        return LoadError(
            .unsupported, file: file, field: names.first,
            "this tensor\(others) is no part of a PEFT \(title) adapter",
            advice: isForeign
                ? "convert the adapter to PEFT's format" : "remove it, or save the adapter again")
    }
}
