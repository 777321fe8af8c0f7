import DoraTensor
import DoraText
import Foundation
import Testing

@testable import DoraLoader

/// What can be given as a base: one file, any part of several, a tokenizer from elsewhere.
@Suite struct GGUFFilesTests {
    private static let bases = Fixtures.folder + "/bases"
    private static let split = "gguf-split-0000%-of-00003.gguf"

    private func part(_ number: Int) -> String { Self.split.replacing("%", with: "\(number)") }

    @Test func everyPartOpensAll() throws {
        for number in 1...3 {
            let model = try GGUFModel(path: Self.bases + "/" + part(number))
            #expect(model.tensorNames.count == 29, "part \(number)")
            #expect(try model.bytes(of: "config.json") != nil)
        }
    }

    @Test func partsThatDoNotBelongTogetherAreRefused() throws {
        func copy(_ parts: [(Int, String)]) throws -> TemporaryFolder {
            let folder = try TemporaryFolder()
            for (number, name) in parts {
                try folder.write(name, Fixtures.bytes(Self.bases + "/" + part(number)))
            }
            return folder
        }
        let missing = try copy([(1, part(1)), (3, part(3))])
        expectRefusal(.missing, naming: [part(2), "part"]) { _ = try GGUFModel(path: missing.file(part(1))) }
        let renamed = try copy([(1, "model.gguf")])
        expectRefusal(.unsupported, naming: ["model.gguf", "split.count", "NAME-00001-of-00003.gguf"]) {
            _ = try GGUFModel(path: renamed.file("model.gguf"))
        }
        let swapped = try copy([(1, part(1)), (3, part(2)), (2, part(3))])
        expectRefusal(.mismatch, naming: [part(2), "split.no"]) {
            _ = try GGUFModel(path: swapped.file(part(1)))
        }
    }

    @Test func aFileIsTakenForWhatItHolds() throws {
        let folder = try TemporaryFolder(["a.bin": GGUFBuilder().bytes, "x.gguf": Array("GG".utf8)])
        guard case .gguf = try ModelFiles(folder.file("a.bin")) else {
            Issue.record("not taken for a GGUF file")
            return
        }
        expectRefusal(.unsupported, naming: ["x.gguf", "a GGUF file"]) {
            _ = try ModelFiles(folder.file("x.gguf"))
        }
        expectRefusal(.unsupported, naming: ["a folder of GGUF files", "one of the files"]) {
            _ = try ModelConfiguration(folder: folder.path)
        }
    }

    @Test func quantizingAgainIsRefused() throws {
        let compute = try Compute(threads: 1)
        expectRefusal(.mismatch, naming: ["--quantize int8", "quantized already"]) {
            _ = try BaseModel(ModelFiles(Self.bases + "/gguf-k.gguf"), quantization: .int8, on: compute)
        }
        // F16 weights may be: the parts' are those of a folder.
        let base = try BaseModel(
            ModelFiles(Self.bases + "/" + part(1)), quantization: .int8, on: compute)
        #expect(base.weights.layers[0][.query]?.formatName == "int8")
    }

    @Test func theTokenizerMayComeFromElsewhere() throws {
        var builder = GGUFBuilder()
        builder.addTokenizer(pre: "unheard-of")
        let folder = try TemporaryFolder(["m.gguf": builder.bytes])
        expectRefusal(.unsupported, naming: ["tokenizer.ggml.pre", "\"unheard-of\"", "--tokenizer DIR"]) {
            _ = try TokenizerFiles.load(ModelFiles(folder.file("m.gguf")))
        }
        let files = try ModelFiles(folder.file("m.gguf"), tokenizer: Fixtures.folder + "/tokenizers/llama3")
        let tokenizer = try #require(try TokenizerFiles.load(files))
        #expect(tokenizer.vocabularySize > 500)
        #expect(try ModelConfiguration(files).hiddenSize == 32 && files.path == folder.file("m.gguf"))
        expectRefusal(.missing, naming: [folder.path, "no tokenizer.json"]) {
            _ = try ModelFiles(folder.file("m.gguf"), tokenizer: folder.path)
        }
    }

    /// An adapter that was trained on the 16-bit model: the weights are others, and one line says so.
    @Test func anAdapterOfTheOriginalIsServedWithAWarning() throws {
        let path = Self.bases + "/gguf-classic.gguf"
        let base = try BaseModel(ModelFiles(path), on: Compute(threads: 1))
        let scratch = try TemporaryFolder()
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            try scratch.write(name, Fixtures.bytes(Fixtures.folder + "/adapters/dora-qkv/" + name))
        }
        let adapter = try Adapter(folder: scratch.path, fitting: base.inventory, baseName: base.name)
        #expect(adapter.warnings.contains { "\($0)".contains("trained on gqa-f32, served on \(path)") })
    }
}
