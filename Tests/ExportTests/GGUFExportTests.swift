import DoraExport
import DoraLoader
import DoraRuntime
import DoraTensor
import DoraText
import FoundationEssentials
import Testing

/// GGUF files that llama.cpp reads (`Tests/Export/check.py` asks it) say the same model as what they were made of.
@Suite struct GGUFExportTests {
    private let compute = try? Compute(threads: 2)

    private func export(_ model: MergedModel, as type: GGUFType, to path: String) throws {
        _ = try GGUFExport(model, type: type, on: try #require(compute)).write(to: path)
    }

    /// What llama.cpp has words for; of the other fixtures, it has no architecture or not their windows, scales or biases.
    private static let written: Set<String> = [
        "gemma", "glm4", "granite", "llama-longrope", "llama-yarn", "mistral3", "olmo2", "phi3", "qwen2_5_vl",
        "qwen3_vl",
    ]

    /// Read again, the answers are PEFT's.
    @Test(arguments: Fixtures.families) func everyFamilyAnswersAsPEFTDoes(name: String) throws {
        let compute = try #require(compute)
        for golden in try GoldenCase.family(name) where golden.quantize == nil {
            let folder = try TemporaryFolder()
            let model = try golden.model(in: ("families", "families"), on: compute)
            if !Self.written.contains(name) {
                let error = #expect(throws: LoadError.self) {
                    try export(model, as: .f32, to: folder.file("model.gguf"))
                }
                #expect(error?.code == .unsupported)
                #expect(try folder.names.isEmpty)
                continue
            }
            try export(model, as: .f32, to: folder.file("model.gguf"))
            try golden.expectAnswers(from: folder.file("model.gguf"), on: compute)
        }
    }

    /// Rotated queries and keys, their biases, scaled rotary embeddings, tied and parted heads, replaced modules.
    @Test(arguments: [
        "gqa-f32--dora-qkv", "biases--dora-bias-all", "biases--ia3-biases",
        "llama3-rope--dora-qkv-llama3-rope",
        "linear-rope--dora-qkv-linear-rope", "head-dim--dora-all-head-dim", "head-dim-8--dora-qkv-head-dim-8",
        "tied-f32--dora-tied-qkv", "tied-f32--dora-head-tied", "gqa-f32--dora-resized-save",
        "gqa-f32--dora-embed",
        "gqa-f32--dora-save-norm", "nf4--dora-qkv-nf4", "int8--dora-qkv-int8",
        "gguf-classic.gguf--dora-all-gguf",
        "gguf-k.gguf--dora-head-gguf",
        "gptq-4--dora-quantized",
    ]) func answersAreThoseOfPEFT(name: String) throws {
        let compute = try #require(compute)
        let folder = try TemporaryFolder()
        let golden = try GoldenCase.load(name + ".json")
        try export(golden.model(on: compute), as: .f32, to: folder.file("model.gguf"))
        try golden.expectAnswers(from: folder.file("model.gguf"), on: compute)
    }

    /// Matrices have the type, what is no matrix is in F32, and codes are within half a step.
    @Test(arguments: [(GGUFType.f16, Float(1e-3)), (.bf16, 8e-3), (.q8_0, 0.01)])
    func weightsAreRoundedOnce(type: GGUFType, tolerance: Float) throws {
        let compute = try #require(compute)
        let folder = try TemporaryFolder()
        let files = try ModelFiles(Fixtures.demo)
        let original = try MergedModel(files, adapter: nil, on: compute)
        try export(original, as: type, to: folder.file("model.gguf"))
        let read = try MergedModel(ModelFiles(folder.file("model.gguf")), adapter: nil, on: compute)
        for tensor in try original.tensors(sharesHead: false) {
            let (mine, theirs) = (try values(tensor, of: read), try values(tensor, of: original))
            let columns = tensor.shape.last ?? 1
            for first in stride(from: 0, to: mine.count, by: columns) {
                let row = first..<first + columns
                let peak = theirs[row].reduce(0) { max($0, abs($1)) }
                let worst = zip(mine[row], theirs[row]).reduce(0) { max($0, abs($1.0 - $1.1)) }
                #expect(worst <= (tensor.shape.count == 1 ? 0 : tolerance * peak), "\(tensor.name)")
            }
        }
    }

    private func values(_ tensor: MergedModel.Tensor, of model: MergedModel) throws -> [Float] {
        var rows = try model.rows(of: tensor)
        var values = [Float](repeating: 0, count: rows.rows * rows.columns)
        try values.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            try rows.read(rows: 0..<rows.rows, into: start, on: try #require(compute))
        }
        return values
    }

    /// Ids, ends and template of the folder, whether its tokenizer is a byte-level BPE or SentencePiece's.
    @Test(arguments: [
        (Fixtures.demo, nil), (Fixtures.path("bases/texts"), nil),
        (Fixtures.path("bases/texts"), Fixtures.path("adapters/texts-chat")),
    ]) func theTokenizerIsTheFolders(base: String, adapter: String?) throws {
        let compute = try #require(compute)
        let folder = try TemporaryFolder()
        let sum = try adapter.map { try AdapterSum($0) }
        let files = try ModelFiles(base)
        let model = try MergedModel(files, adapter: sum, on: compute)
        try export(model, as: .f16, to: folder.file("model.gguf"))
        let read = try ModelFiles(folder.file("model.gguf"))
        let mine = try #require(try TokenizerFiles.load(read))
        let own = try AdapterTokenizerFiles(folders: adapter.map { [$0] } ?? [], over: files)
        let theirs = try #require(try own.map { try $0.load() } ?? TokenizerFiles.load(files))
        for text in ["the cat sat", "<|user|>the dog<|end|>", "Ünïcödé 🙂 日本", " 12345  x\n\ny", ""] {
            for special in [false, true] {
                #expect(
                    mine.encode(text, addingSpecialTokens: special)
                        == theirs.encode(text, addingSpecialTokens: special), "\(text)")
            }
        }
        #expect(mine.eosID == theirs.eosID)
    }

    @Test func whatIsThereIsLeftAlone() throws {
        let compute = try #require(compute)
        let folder = try TemporaryFolder()
        try folder.write("model.gguf", "mine")
        let model = try MergedModel(ModelFiles(Fixtures.demo), adapter: nil, on: compute)
        #expect(throws: WriteError.self) { try export(model, as: .f16, to: folder.file("model.gguf")) }
        #expect(try text(folder.file("model.gguf")) == "mine")
    }

    @Test func q8BlocksAreAsGGMLRoundsThem() {
        // The greatest is 127 steps; halves go away from zero; a block of zeros has no scale.
        var values = [Float](repeating: 0, count: 64)
        values.replaceSubrange(0..<5, with: [-127, 0.5, 1.5, -2.5, 0.49])
        var bytes = [UInt8](repeating: 255, count: 68)
        let isFinite = bytes.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { Q8Encoding.encode(values, count: 64, into: $0) }
        }
        #expect(isFinite == true)
        #expect(bytes[..<2] == [0x00, 0x3C])
        #expect(bytes[2..<7].map { Int8(bitPattern: $0) } == [-127, 1, 2, -3, 0])
        #expect(bytes[34...].allSatisfy { $0 == 0 })
    }
}
