import DoraExport
import DoraLoader
import DoraRuntime
import DoraTensor
import DoraText
import Testing

/// An export by itself answers as PEFT's base with the adapter beside it: the same greedy tokens, and log probabilities
/// within the case's tolerance (1e-4).
@Suite struct ExportedAnswerTests {
    private let compute = try? Compute(threads: 2)

    @Test func theCasesAreThere() {
        #expect(Fixtures.golden.count >= 100)
        #expect(Fixtures.families.count >= 30)
    }

    /// Every method and every format of bases.
    @Test(arguments: Fixtures.golden) func answersAreThoseOfPEFT(file: String) throws {
        let golden = try GoldenCase.load(file)
        let compute = try #require(compute)
        let model = try golden.model(on: compute)
        if golden.adapter?.contains("bias-b") == true, golden.base != "biases" {
            #expect(throws: LoadError.self) { try expectAnswers(of: golden, from: model, on: compute) }
            return
        }
        try expectAnswers(of: golden, from: model, on: compute)
    }

    @Test(arguments: Fixtures.families) func everyFamilyAnswersAsPEFTDoes(name: String) throws {
        let compute = try #require(compute)
        for golden in try GoldenCase.family(name) {
            let model = try golden.model(in: ("families", "families"), on: compute)
            try expectAnswers(of: golden, from: model, on: compute)
        }
    }

    /// - Parameter model: to be exported and read again.
    private func expectAnswers(of golden: GoldenCase, from model: MergedModel, on compute: Compute) throws {
        let folder = try TemporaryFolder()
        _ = try FolderExport(model, elementType: .f32, shardBytes: 40_000, on: compute)
            .write(to: folder.file("model"))
        let base = try BaseModel(
            ModelFiles(folder.file("model")), storage: StorageOptions(weights: .f32), on: compute)
        #expect(base.configuration.quantization == nil && base.warnings.isEmpty)
        let generator = try Generator(
            base.configuration, weights: base.weights, eosIDs: [], tokenizer: nil, halfCache: false,
            on: compute)
        for prompt in golden.prompts {
            let completion = try generator.generate(
                GenerationRequest(
                    prompt: prompt.prompt_ids, maximumTokens: prompt.greedy_ids.count, ignoresEOS: true,
                    logprobs: 1))
            let name = "\(golden.base) \(golden.adapter ?? "")"
            #expect(completion.tokenIDs == prompt.greedy_ids, "\(name)")
            let scores = try generator.score(ScoreRequest(prompt: prompt.prompt_ids)).lists[0]
            let found = scores.map(\.logprob) + completion.logprobs.map(\.logprob)
            for (mine, theirs) in zip(found, prompt.prompt_logprobs + prompt.greedy_logprobs) {
                #expect(abs(mine - theirs) <= golden.tolerance, "\(name)")
            }
        }
    }
}
