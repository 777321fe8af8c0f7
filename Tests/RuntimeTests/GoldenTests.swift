import DoraLoader
import DoraRuntime
import DoraTensor
import Testing

/// The F32 path against the real thing: the same greedy tokens as the unmerged PEFT forward, and log probabilities
/// within the case's tolerance (1e-4).
@Suite struct GoldenTests {
    @Test func theCasesAreThere() {
        #expect(Fixtures.cases.count >= 100)
    }

    @Test(arguments: Fixtures.cases) func answersAreThoseOfPEFT(name: String) throws {
        let golden = try GoldenCase.load(name)
        let model = try TestModel(golden, storage: StorageOptions(weights: .f32, merged: .f32))
        try model.expectAnswers(of: golden)
    }

    /// With the factors beside the base.
    @Test(arguments: Fixtures.cases) func factoredAnswersAreThoseOfPEFT(name: String) throws {
        let golden = try GoldenCase.load(name)
        let model = try TestModel(
            golden, storage: StorageOptions(weights: .f32, merged: .f32, form: .factored))
        try model.expectAnswers(of: golden)
    }

    @Test func theFamiliesAreThere() {
        #expect(Fixtures.families.count >= 30)
    }

    /// Base and adapters of tiny models of every family, some also as bitsandbytes stores them.
    @Test(arguments: Fixtures.families, [StorageOptions.Form.merged, .factored])
    func everyFamilyAnswersAsPEFTDoes(name: String, form: StorageOptions.Form) throws {
        for golden in try GoldenCase.family(name) {
            let model = try TestModel(
                golden, in: ("families", "families"),
                storage: StorageOptions(weights: .f32, merged: .f32, form: form))
            try model.expectAnswers(of: golden)
        }
    }
}

/// A golden case's base and adapter, loaded.
struct TestModel {
    let base: BaseModel
    let weights: ModelWeights
    let generator: Generator
    let compute: Compute

    /// - Parameter folders: of bases and of adapters.
    init(
        _ golden: GoldenCase, in folders: (bases: String, adapters: String) = ("bases", "adapters"),
        storage: StorageOptions, keyValues: KeyValueFormat = .f32, chunk: Int = 256, threads: Int = 1,
        kernels: String? = nil
    ) throws {
        compute = try Compute(threads: threads, kernels: kernels)
        base = try BaseModel(
            folder: Fixtures.path("\(folders.bases)/\(golden.base)"),
            quantization: golden.quantize.flatMap(Quantization.init(rawValue:)), storage: storage, on: compute
        )
        if let name = golden.adapter {
            let adapter = try AdapterSum(name).mapFolders { Fixtures.path("\(folders.adapters)/\($0)") }
                .load(fitting: base.inventory, baseName: nil)
            weights = try base.adapted(by: adapter, on: compute).weights
        } else {
            weights = base.weights
        }
        generator = try Generator(
            base.configuration, weights: weights, eosIDs: [], tokenizer: nil, keyValues: keyValues,
            chunk: chunk,
            on: compute)
    }

    func generate(_ prompt: GoldenCase.Prompt) throws -> Completion {
        try generator.generate(
            GenerationRequest(
                prompt: prompt.prompt_ids, maximumTokens: prompt.greedy_ids.count, ignoresEOS: true,
                logprobs: prompt.top.first?.count ?? 5))
    }

    /// Tokens and log probabilities, within the case's tolerance.
    func expectAnswers(of golden: GoldenCase) throws {
        let name = "\(golden.base) \(golden.adapter ?? "")"
        for prompt in golden.prompts {
            let completion = try generate(prompt)
            #expect(completion.tokenIDs == prompt.greedy_ids, "\(name)")
            for (found, expected) in zip(completion.logprobs, prompt.greedy_logprobs) {
                #expect(abs(found.logprob - expected) <= golden.tolerance, "\(name)")
            }
            for (found, expected) in zip(completion.logprobs, prompt.top) {
                // By token: two that PEFT has closer than the tolerance may change places.
                let theirs = Dictionary(uniqueKeysWithValues: expected.map { (Int($0[0]), $0[1]) })
                #expect(zip(found.top, found.top.dropFirst()).allSatisfy { $0.logprob >= $1.logprob })
                #expect(Set(found.top.map(\.id)) == Set(theirs.keys), "\(name)")
                for mine in found.top {
                    #expect(
                        abs(mine.logprob - theirs[mine.id, default: .infinity]) <= golden.tolerance, "\(name)"
                    )
                }
            }
            let scores = try generator.score(ScoreRequest(prompt: prompt.prompt_ids)).lists[0]
            #expect(scores.map(\.id) == Array(prompt.prompt_ids.dropFirst()))
            for (found, expected) in zip(scores, prompt.prompt_logprobs) {
                #expect(abs(found.logprob - expected) <= golden.tolerance, "\(name)")
            }
        }
    }
}
