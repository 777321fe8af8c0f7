import DoraText
import Foundation
import Testing

@testable import DoraLoader

/// A clone without git-lfs holds pointers in place of the large files; whichever is opened first says so.
@Suite struct GitPointerTests {
    private static let pointer =
        "version https://git-lfs.github.com/spec/v1\noid sha256:\(String(repeating: "ab", count: 32))\nsize 4976698672\n"

    @Test(arguments: ["config.json", "model.safetensors", "generation_config.json", "tokenizer.json"])
    func aBase(name: String) throws {
        let folder = try TemporaryFolder()
        let base = Fixtures.folder + "/bases/gqa-f32"
        for file in ["config.json", "generation_config.json", "model.safetensors"] {
            try folder.write(file, Fixtures.bytes("\(base)/\(file)"))
        }
        try folder.write(name, Self.pointer)
        expectRefusal(
            .malformed, naming: [folder.file(name), "git-lfs pointer", "4976698672", "git lfs pull"]
        ) {
            let files = try ModelFiles(folder.path)
            let configuration = try ModelConfiguration(files)
            _ = try GenerationDefaults(files, configuration: configuration)
            _ = try TokenizerFiles.load(files)
            _ = try Checkpoint(folder: folder.path)
        }
    }

    @Test(arguments: ["tokenizer.model", "tokenizer_config.json"])
    func aTokenizer(name: String) throws {
        let folder = try TemporaryFolder(["tokenizer.model": [0x0A]])
        try folder.write(name, Self.pointer)
        expectRefusal(.malformed, naming: [folder.file(name), "git-lfs pointer"]) {
            _ = try TokenizerFiles.load(ModelFiles(folder.path))
        }
    }

    @Test(arguments: ["adapter_config.json", "adapter_model.safetensors"])
    func anAdapter(name: String) throws {
        let folder = try TemporaryFolder()
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            try folder.write(file, Fixtures.bytes("\(Fixtures.folder)/adapters/dora-qkv/\(file)"))
        }
        try folder.write(name, Self.pointer)
        let inventory = ModuleInventory(try ModelConfiguration(folder: Fixtures.folder + "/bases/gqa-f32"))
        expectRefusal(.malformed, naming: [folder.file(name), "git-lfs pointer"]) {
            _ = try Adapter(folder: folder.path, fitting: inventory, baseName: nil)
        }
    }

    @Test func aPackedFile() throws {
        let folder = try TemporaryFolder()
        try folder.write("m.dora", Self.pointer)
        expectRefusal(.malformed, naming: ["m.dora", "git-lfs pointer"]) {
            _ = try ModelFiles(folder.file("m.dora"))
        }
    }
}
