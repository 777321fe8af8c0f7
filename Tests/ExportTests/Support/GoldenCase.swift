import DoraLoader
import DoraRuntime
import DoraTensor
import FoundationEssentials
import Testing

/// What the base with the adapter beside it answers.
struct GoldenCase: Decodable, Sendable {
    struct Prompt: Decodable, Sendable {
        let prompt_ids: [Int]
        let greedy_ids: [Int]
        let greedy_logprobs: [Double]
        let prompt_logprobs: [Double]
    }

    let base: String
    let adapter: String?
    let quantize: String?
    let tolerance: Double
    let prompts: [Prompt]

    static func load(_ file: String) throws -> GoldenCase {
        try JSONDecoder().decode(
            GoldenCase.self, from: Data(contentsOf: URL(filePath: Fixtures.path("golden/" + file))))
    }

    static func family(_ name: String) throws -> [GoldenCase] {
        struct File: Decodable { let cases: [GoldenCase] }
        let file = URL(filePath: Fixtures.path("families/\(name)/golden.json"))
        return try JSONDecoder().decode(File.self, from: Data(contentsOf: file)).cases
    }

    /// - Parameter folders: of bases and of adapters.
    func model(
        in folders: (bases: String, adapters: String) = ("bases", "adapters"), on compute: Compute
    ) throws -> MergedModel {
        try MergedModel(
            ModelFiles(Fixtures.path("\(folders.bases)/\(base)")),
            adapter: try adapter.map { text in
                try AdapterSum(text).mapFolders { Fixtures.path("\(folders.adapters)/\($0)") }
            }, quantization: quantize.flatMap(Quantization.init(rawValue:)), acceptsOtherBase: true,
            on: compute)
    }

    /// Whether a model by itself answers so: the same greedy tokens, and log probabilities within the tolerance.
    func expectAnswers(from path: String, on compute: Compute) throws {
        let model = try BaseModel(
            ModelFiles(path), storage: StorageOptions(weights: .f32), on: compute)
        #expect(model.configuration.quantization == nil && model.warnings.isEmpty)
        let generator = try Generator(
            model.configuration, weights: model.weights, eosIDs: [], tokenizer: nil, keyValues: .f32,
            on: compute)
        for prompt in prompts {
            let completion = try generator.generate(
                GenerationRequest(
                    prompt: prompt.prompt_ids, maximumTokens: prompt.greedy_ids.count, ignoresEOS: true,
                    logprobs: 1))
            let name = "\(base) \(adapter ?? "")"
            #expect(completion.tokenIDs == prompt.greedy_ids, "\(name)")
            let scores = try generator.score(ScoreRequest(prompt: prompt.prompt_ids)).lists[0]
            let found = scores.map(\.logprob) + completion.logprobs.map(\.logprob)
            for (mine, theirs) in zip(found, prompt.prompt_logprobs + prompt.greedy_logprobs) {
                #expect(abs(mine - theirs) <= tolerance, "\(name)")
            }
        }
    }
}
