import DoraLoader
import DoraRuntime
import DoraTensor
import DoraText
import FoundationEssentials
import Testing
import dora_accuracy

/// The trained model that comes with the program, on the default path.
@Suite struct DemoModelTests {
    private static let models = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "models")

    private func load(_ adapter: String?, storage: StorageOptions) throws -> LoadedModel {
        try LoadedModel(
            ModelSettings(
                model: Self.models.appending(path: "base").path,
                adapter: adapter.map { Self.models.appending(path: "adapters/\($0)").path }, storage: storage,
                threads: 2))
    }

    @Test(arguments: [nil, "sentiment", "topic"] as [String?]) func theDefaultPathStaysCloseToF32(
        adapter: String?
    ) throws {
        let exact = try load(adapter, storage: StorageOptions(weights: .f32, merged: .f32))
        let stored = try load(adapter, storage: StorageOptions())
        let text = try String(
            contentsOf: Self.models.appending(path: "evaluation/general.txt"), encoding: .utf8)
        let found = try Divergence(
            of: stored.weights, stored.settings, from: exact.weights, exact.settings, exact.configuration,
            texts: Divergence.paragraphs(text, #require(exact.tokenizer), end: exact.language.eosIDs.first),
            on: Compute(threads: 2))
        #expect(found.tokens >= 2000)
        #expect(found.entropy >= 1)
        #expect(found.mean <= 2e-3)
        #expect(abs(found.storedPerplexity / found.exactPerplexity - 1) <= 0.01)
    }

    private struct Line: Decodable {
        let context: String
        let target: String
    }

    @Test(arguments: ["sentiment", "topic"]) func heldOutPromptsAreAnsweredRight(adapter: String) throws {
        let lines = try String(
            contentsOf: Self.models.appending(path: "evaluation/\(adapter).jsonl"), encoding: .utf8
        ).split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        let adapted = try accuracy(load(adapter, storage: StorageOptions()), lines)
        let base = try accuracy(load(nil, storage: StorageOptions()), lines)
        #expect(adapted >= 0.9)
        #expect(base <= 0.5)
    }

    private func accuracy(_ model: LoadedModel, _ lines: [Line]) throws -> Double {
        let generator = try model.makeGenerator()
        let tokenizer = try #require(model.tokenizer)
        let right = try lines.count { line in
            let prompt = tokenizer.encode(line.context, addingSpecialTokens: true)
            let answer =
                try generator.generate(GenerationRequest(prompt: prompt, maximumTokens: 10)).text ?? ""
            return answer.split(whereSeparator: \.isWhitespace).joined(separator: " ") == line.target
        }
        return Double(right) / Double(lines.count)
    }
}
