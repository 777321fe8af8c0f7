import DoraExport
import DoraLoader
import DoraTensor
import DoraText
import FoundationEssentials
import Testing

/// What stands in an exported folder, and when.
@Suite struct FolderExportTests {
    private let compute = try? Compute(threads: 2)

    private func model(_ base: String, _ adapter: String? = nil) throws -> MergedModel {
        try MergedModel(
            ModelFiles(base.hasPrefix("/") ? base : Fixtures.path("bases/" + base)),
            adapter: try adapter.map {
                try AdapterSum($0.hasPrefix("/") ? $0 : Fixtures.path("adapters/" + $0))
            },
            on: try #require(compute))
    }

    private func export(
        _ model: MergedModel, to path: String, as type: ElementType = .f32, shardBytes: Int = 1 << 40
    ) throws {
        let export = try FolderExport(
            model, elementType: type, shardBytes: shardBytes, on: try #require(compute))
        _ = try export.write(to: path)
    }

    private func configuration(_ folder: String) throws -> JSONObject {
        try #require(JSONValue(parsing: Array(text(folder + "/config.json").utf8)).object)
    }

    @Test func aSmallModelIsOneFile() throws {
        let folder = try TemporaryFolder()
        try export(model("int8"), to: folder.file("out"))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).sorted()
        #expect(names == ["config.json", "generation_config.json", "model.safetensors"])
        #expect(try folder.names == ["out"])
        let json = try configuration(folder.file("out"))
        #expect(json["quantization_config"] == nil)
        #expect(json["dtype"] == .string("float32"))
        #expect(json["architectures"] == .array([.string("LlamaForCausalLM")]))
    }

    /// As `save_pretrained` cuts and names them; a tensor that is larger than a shard has one of its own.
    @Test func shardsAndTheirIndexHoldEveryTensorOnce() throws {
        let folder = try TemporaryFolder()
        let model = try model("bf16", "dora-layers")
        try export(model, to: folder.file("one"), as: .bf16)
        try export(model, to: folder.file("many"), as: .bf16, shardBytes: 10_000)
        let (one, many) = (
            try Checkpoint(folder: folder.file("one")), try Checkpoint(folder: folder.file("many"))
        )
        #expect(Set(one.names) == Set(many.names) && one.names.count > 20)
        for name in one.names {
            let (first, second) = (try one.tensor(name), try many.tensor(name))
            #expect(first.elementType == .bf16 && first.shape == second.shape)
            #expect(try first.floats() == second.floats())
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.file("many"))
            .filter { $0.hasSuffix(".safetensors") }.sorted()
        #expect(files.count > 3)
        #expect(files.first == "model-00001-of-000\(files.count).safetensors" && files.count > 9)
        for file in files {
            let shard = try SafetensorsFile(path: folder.file("many/" + file))
            let bytes = try shard.names.map { try #require(shard[$0]).byteCount }
            #expect(bytes.count == 1 || bytes.reduce(0, +) <= 10_000)
            #expect(shard.metadata["format"] == "pt")
        }
        let index = try JSONValue(
            parsing: Array(text(folder.file("many/model.safetensors.index.json")).utf8))
        let total = try one.names.map { try one.tensor($0).byteCount }.reduce(0, +)
        #expect(index.object?["metadata"]?.object?["total_size"]?.int == total)
    }

    @Test func whateverTheThreadsTheBytesAreTheSame() throws {
        let folder = try TemporaryFolder()
        let files = try ModelFiles(Fixtures.path("bases/nf4"))
        let adapter = try AdapterSum(Fixtures.path("adapters/dora-qkv-nf4"))
        for threads in [1, 3] {
            let compute = try Compute(threads: threads)
            let model = try MergedModel(files, adapter: adapter, on: compute)
            _ = try FolderExport(model, elementType: .f16, on: compute)
                .write(to: folder.file("\(threads)"))
        }
        #expect(
            try Data(contentsOf: URL(filePath: folder.file("1/model.safetensors")))
                == Data(contentsOf: URL(filePath: folder.file("3/model.safetensors"))))
    }

    /// One matrix as long as both sides are the same, two where the adapter changes one of them.
    @Test(arguments: [
        ("dora-tied-qkv", true), ("dora-tokens-tied", true), ("dora-resized-plain-tied", true),
        ("dora-embed-tied", false), ("dora-head-tied", false), ("dora-save-embed-tied", false),
    ]) func aTiedHeadStaysTiedWhereItCan(adapter: String, isTied: Bool) throws {
        let folder = try TemporaryFolder()
        try export(model("tied-f32", adapter), to: folder.file("out"))
        #expect(try configuration(folder.file("out"))["tie_word_embeddings"] == .bool(isTied))
        #expect(
            try Checkpoint(folder: folder.file("out")).names.contains("lm_head.weight") == !isTied)
    }

    @Test func aResizedVocabularyIsTheModels() throws {
        let folder = try TemporaryFolder()
        let model = try model("gqa-f32", "dora-resized-save")
        try export(model, to: folder.file("out"))
        #expect(model.inventory.vocabularySize == 131)
        #expect(try configuration(folder.file("out"))["vocab_size"] == .integer(131))
        let checkpoint = try Checkpoint(folder: folder.file("out"))
        #expect(try checkpoint.tensor("model.embed_tokens.weight").shape.first == 131)
        #expect(try checkpoint.tensor("lm_head.weight").shape.first == 131)
    }

    /// Norms that are stored less one stay so.
    @Test func vectorsAreAsStored() throws {
        let folder = try TemporaryFolder()
        let base = Fixtures.path("families/gemma2/base")
        try export(model(base), to: folder.file("out"))
        let (before, after) = (
            try Checkpoint(folder: base), try Checkpoint(folder: folder.file("out"))
        )
        #expect(Set(before.names) == Set(after.names))
        for name in before.names { #expect(try before.tensor(name).floats() == after.tensor(name).floats()) }
    }

    /// The language model of one that sees pictures is the text model that transformers has for it.
    @Test(arguments: [
        ("gemma3", "gemma3_text", "Gemma3ForCausalLM"), ("qwen2_5_vl", "qwen2", "Qwen2ForCausalLM"),
        ("qwen3_vl", "qwen3", "Qwen3ForCausalLM"), ("mistral3", "mistral", "MistralForCausalLM"),
    ]) func whatSeesIsLeftOut(family: String, type: String, architecture: String) throws {
        let folder = try TemporaryFolder()
        try export(model(Fixtures.path("families/\(family)/base")), to: folder.file("out"))
        let json = try configuration(folder.file("out"))
        #expect(json["model_type"] == .string(type))
        #expect(json["architectures"] == .array([.string(architecture)]))
        #expect(json["vision_config"] == nil && json["text_config"] == nil)
        #expect(
            try Checkpoint(folder: folder.file("out")).names.allSatisfy {
                $0.hasPrefix("model.") || $0 == "lm_head.weight"
            })
    }

    @Test func aBiasThatTheModelHasNoPlaceForIsRefused() throws {
        let model = try model("gqa-f32", "lora-bias-b")
        let error = #expect(throws: LoadError.self) {
            try FolderExport(model, elementType: .f32, on: try #require(compute))
        }
        #expect(error?.code == .unsupported && error?.field?.hasSuffix("q_proj") == true)
    }

    @Test func numbersBeyondTheTypeAreRefused() throws {
        let folder = try TemporaryFolder()
        let model = try MergedModel(
            ModelFiles(Fixtures.path("bases/gqa-f32")),
            adapter: AdapterSum(Fixtures.path("adapters/lora-plain"), scale: 1e8), on: try #require(compute))
        let error = #expect(throws: LoadError.self) {
            try export(model, to: folder.file("out"), as: .f16)
        }
        #expect(error?.code == .unsupported && error?.advice?.contains("bf16") == true)
        #expect(try folder.names.isEmpty)
        try export(model, to: folder.file("out"), as: .bf16)
    }
}

/// A folder appears whole or not at all.
@Suite struct NewFolderTests {
    private struct Interruption: Error {}

    private func export(to path: String, progress: (LoadProgress) throws -> Void = { _ in }) throws {
        let compute = try Compute(threads: 1)
        let model = try MergedModel(
            ModelFiles(Fixtures.path("bases/gqa-f32")), adapter: nil, on: compute)
        _ = try FolderExport(model, elementType: .bf16, on: compute).write(to: path, progress: progress)
    }

    @Test func nothingIsThereBeforeTheEnd() throws {
        let folder = try TemporaryFolder()
        try export(to: folder.file("out/")) { progress in
            let names = try folder.names
            #expect(progress.done == progress.total || names.isEmpty)
        }
        #expect(try folder.names == ["out"])
    }

    @Test func anInterruptedExportLeavesNothing() throws {
        let folder = try TemporaryFolder()
        #expect(throws: Interruption.self) {
            try export(to: folder.file("out")) { if $0.done == 3 { throw Interruption() } }
        }
        #expect(try folder.names.isEmpty)
    }

    @Test func whatIsThereIsLeftAlone() throws {
        let folder = try TemporaryFolder()
        try folder.write("file", "mine")
        let full = #expect(throws: WriteError.self) { try export(to: folder.path) }
        #expect(full?.description.contains("not empty") == true)
        let file = #expect(throws: WriteError.self) { try export(to: folder.file("file")) }
        #expect(file?.description.contains("no folder") == true)
        #expect(try folder.names == ["file"])
        #expect(try text(folder.file("file")) == "mine")
        try FileManager.default.createDirectory(
            atPath: folder.file("empty"), withIntermediateDirectories: false)
        try export(to: folder.file("empty"))
        #expect(throws: WriteError.self) { try export(to: folder.file("nowhere/out")) }
    }

    /// What appears meanwhile is not written over, either.
    @Test func aFolderThatAppearsMeanwhileIsLeftAlone() throws {
        let folder = try TemporaryFolder()
        #expect(throws: WriteError.self) {
            try export(to: folder.file("out")) { progress in
                guard progress.done == 2 else { return }
                try FileManager.default.createDirectory(
                    atPath: folder.file("out"), withIntermediateDirectories: false)
                try folder.write("out/other", "theirs")
            }
        }
        #expect(try folder.names == ["out"])
        #expect(try text(folder.file("out/other")) == "theirs")
    }

    @Test func aFullDiskIsKnownAtOnce() throws {
        let folder = try TemporaryFolder()
        let new = try NewFolder(folder.file("out"))
        let error = #expect(throws: WriteError.self) {
            try new.file("model.safetensors", byteCount: 1 << 61)
        }
        #expect(error?.description.contains("bytes are needed") == true)
        #expect(error?.path == folder.file("out/model.safetensors"))
        #expect(try folder.names.isEmpty)
    }
}
