import DoraText
import Foundation
import Testing

@testable import DoraLoader

/// How people point at adapters: the right folder is found, or what they pointed at is called what it is.
@Suite struct AdapterFolderTests {
    private let places = ModelPlaces(HubCache("/nowhere"))

    private func folder(_ files: [String]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for file in files {
            let path = folder.file(file)
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try folder.write(file, "{}")
        }
        return folder
    }

    @Test(arguments: [
        (
            ["adapter_config.json", "checkpoint-1/adapter_config.json", "checkpoint-2/adapter_config.json"],
            ""
        ),
        (["trainer_state.json", "checkpoint-500/adapter_config.json", "runs/x"], "/checkpoint-500"),
        (["poet/adapter_config.json"], "/poet"),
        (["checkpoint-9/poet/adapter_config.json", ".cache/a/adapter_config.json"], "/checkpoint-9/poet"),
        (["a/b/c/adapter_config.json"], ""), ([], ""),
    ])
    func theOnlyAdapterOfATrainersOutputIsTaken(files: [String], expected: String) throws {
        let folder = try folder(files)
        #expect(try places.adapter(folder.path) == folder.path + expected)
    }

    @Test func severalCheckpointsAreListedInTheOrderOfTraining() throws {
        let folder = try folder([1000, 500, 1500].map { "checkpoint-\($0)/adapter_config.json" })
        for open in [
            { _ = try places.adapter(folder.path) }, { _ = try AdapterConfiguration(folder: folder.path) },
        ] {
            expectRefusal(
                .unsupported,
                naming: ["checkpoint-500, checkpoint-1000, checkpoint-1500", folder.file("checkpoint-1500")],
                open)
        }
    }

    @Test func manyAreCounted() throws {
        let folder = try folder((1...30).map { "checkpoint-\($0)/adapter_config.json" })
        expectRefusal(.unsupported, naming: ["30 adapters", "10 more", "checkpoint-11,", "checkpoint-30"]) {
            _ = try places.adapter(folder.path)
        }
    }

    @Test(arguments: [
        (["config.json", "model.safetensors"], "a base model, not an adapter; give it as --model"),
        (["adapter_config.json", "adapters.safetensors"], "an adapter of mlx-lm"),
        (["adapters.npz"], "mlx-lm"),
        (["consolidated.00.pth", "params.json"], "Meta's own layout"), (["x.Q4_0.gguf"], "GGUF"),
    ])
    func anythingElseIsCalledWhatItIs(files: [String], words: String) throws {
        let folder = try folder(files)
        expectRefusal(.unsupported, naming: [folder.path, words]) {
            _ = try AdapterConfiguration(folder: places.adapter(folder.path))
        }
    }

    @Test(arguments: [
        (
            ["adapter_config.json", "adapter_model.safetensors"],
            "an adapter, not a base model; give it as --adapter"
        ),
        // Axolotl saves the base's configuration along.
        (["adapter_config.json", "adapter_model.safetensors", "config.json"], "this is an adapter"),
        (["adapters.safetensors", "config.json"], "mlx-lm"), (["consolidated.00.pth"], "Meta's own layout"),
        (["x.gguf"], "GGUF"),
    ])
    func soIsWhatIsGivenAsABase(files: [String], words: String) throws {
        let folder = try folder(files)
        if files.contains("config.json") {
            try folder.write("config.json", Configurations.text(Configurations.llama))
        }
        expectRefusal(.unsupported, naming: [folder.path, words]) {
            _ = try ModelConfiguration(folder: folder.path)
            _ = try Checkpoint(folder: folder.path)
        }
    }

    @Test func aFileIsNoAdapter() throws {
        let folder = try folder(["adapter_model.safetensors"])
        expectRefusal(.missing, naming: ["adapter_model.safetensors", "give the folder"]) {
            _ = try AdapterConfiguration(folder: places.adapter(folder.file("adapter_model.safetensors")))
        }
    }

    @Test func aModelInASubfolderIsPointedAt() throws {
        let folder = try folder(["checkpoint-5/config.json"])
        expectRefusal(.missing, naming: [folder.path, "subfolder checkpoint-5"]) {
            _ = try ModelConfiguration(folder: folder.path)
        }
    }
}

/// The base that an adapter names is looked for where PEFT would look, beside the adapter, and in the cache.
@Suite struct NamedBaseTests {
    private let hub = ModelPlaces(HubCache(Fixtures.folder + "/hub"))

    private func adapter(_ configuration: String) throws -> (TemporaryFolder, NamedBase) {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.file("run/adapter"), withIntermediateDirectories: true)
        try folder.write("run/adapter/adapter_config.json", configuration)
        return (folder, try NamedBase(adapter: folder.file("run/adapter")))
    }

    @Test func byAPathOrAnIDWithItsRevision() throws {
        let base = Fixtures.folder + "/bases/int8"
        let (_, absolute) = try adapter(#"{"base_model_name_or_path": "\#(base)"}"#)
        #expect(try absolute.path(in: hub) == base)
        let (folder, relative) = try adapter(#"{"base_model_name_or_path": "../base"}"#)
        #expect(try relative.path(in: hub) == nil)
        try FileManager.default.createSymbolicLink(atPath: folder.file("run/base"), withDestinationPath: base)
        #expect(try relative.path(in: hub) == folder.file("run/adapter/../base"))
        let (_, id) = try adapter(
            #"{"base_model_name_or_path": "dora-fixtures/tiny-llama", "revision": "v1"}"#)
        #expect(try id.path(in: hub) == hub.base("dora-fixtures/tiny-llama@v1"))
        let (_, unknown) = try adapter(#"{"base_model_name_or_path": "org/none", "revision": "r"}"#)
        expectRefusal(.missing, naming: ["hf download org/none --revision r"]) {
            _ = try unknown.path(in: hub)
        }
    }

    @Test(arguments: ["{}", #"{"base_model_name_or_path": null}"#, #"{"base_model_name_or_path": ""}"#])
    func orNotAtAll(configuration: String) throws {
        let (_, base) = try adapter(configuration)
        #expect(try base.name == nil && base.path(in: hub) == nil)
    }
}
