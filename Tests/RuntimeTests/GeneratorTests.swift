import DoraLoader
import DoraTensor
import Testing

@testable import DoraRuntime

@Suite struct GeneratorTests {
    private func model(eosIDs: [Int] = [], context: Int? = nil) throws -> (Generator, GoldenCase.Prompt) {
        let golden = try GoldenCase.load("gqa-f32")
        let compute = try Compute(threads: 1)
        let base = try BaseModel(folder: Fixtures.path("bases/gqa-f32"), on: compute)
        let generator = try Generator(
            base.configuration, weights: base.weights, eosIDs: eosIDs, tokenizer: nil, context: context,
            keyValues: .f32, on: compute)
        return (generator, try #require(golden.prompts.first))
    }

    @Test func anEOSEndsTheOutputAndIsPartOfItsIDs() throws {
        let (plain, prompt) = try model()
        let free = try plain.generate(GenerationRequest(prompt: prompt.prompt_ids, maximumTokens: 16))
        let eos = free.tokenIDs[4]
        let end = try #require(free.tokenIDs.firstIndex(of: eos))
        let (generator, _) = try model(eosIDs: [eos])
        let request = GenerationRequest(prompt: prompt.prompt_ids, maximumTokens: 16)
        let stopped = try generator.generate(request)
        #expect(stopped.tokenIDs == Array(free.tokenIDs[...end]))
        #expect(stopped.finishReason == .stop)
        var ignoring = request
        ignoring.ignoresEOS = true
        #expect(try generator.generate(ignoring).tokenIDs == free.tokenIDs)
    }

    @Test func aStopIDOfTheRequestEndsTheOutputLikeAnEOS() throws {
        let (generator, prompt) = try model()
        var request = GenerationRequest(prompt: prompt.prompt_ids, maximumTokens: 16)
        let free = try generator.generate(request)
        request.stopIDs = [127, free.tokenIDs[4]]
        request.ignoresEOS = true
        let end = try #require(free.tokenIDs.firstIndex(where: request.stopIDs.contains))
        let stopped = try generator.generate(request)
        #expect(stopped.tokenIDs == Array(free.tokenIDs[...end]) && stopped.finishReason == .stop)
    }

    @Test func theContextEndsTheOutput() throws {
        let (generator, prompt) = try model(context: 8)
        let completion = try generator.generate(
            GenerationRequest(prompt: prompt.prompt_ids, maximumTokens: 100))
        // Eight positions hold the prompt of five and three more tokens; a ninth token needs no position.
        #expect(completion.tokenIDs.count == 4)
        #expect(completion.finishReason == .length)
    }

    @Test func noTokensAreMadeWhenNoneAreWanted() throws {
        let (generator, prompt) = try model()
        let completion = try generator.generate(
            GenerationRequest(prompt: prompt.prompt_ids, maximumTokens: 0))
        #expect(completion.tokenIDs.isEmpty && completion.finishReason == .length)
    }

    @Test func badPromptsAreRefused() throws {
        let (generator, _) = try model(context: 8)
        func problem(_ prompt: [Int]) -> RuntimeError? {
            do {
                _ = try generator.generate(GenerationRequest(prompt: prompt))
                return nil
            } catch { return error as? RuntimeError }
        }
        #expect(problem([]) == .emptyPrompt)
        #expect(problem([1, 500]) == .tokenOutOfRange(id: 500, vocabularySize: 128))
        #expect(problem([-1]) == .tokenOutOfRange(id: -1, vocabularySize: 128))
        #expect(problem([Int](repeating: 1, count: 9)) == .promptTooLong(tokens: 9, context: 8))
    }

    @Test func aContextBeyondTheModelsIsRefused() {
        #expect(throws: RuntimeError.self) { try model(context: 1 << 20) }
    }

    @Test func theCallerCanStop() throws {
        let (generator, prompt) = try model()
        var seen = 0
        let completion = try generator.generate(GenerationRequest(prompt: prompt.prompt_ids)) { _, _ in
            seen += 1
            return seen < 3
        }
        #expect(completion.tokenIDs.count == 3 && completion.finishReason == .cancelled)
    }
}

@Suite struct LogitsTests {
    @Test func theLowestIDWinsATie() throws {
        let logits: [Float] = [1, 3, 3, 2]
        #expect(try logits.withUnsafeBufferPointer { try Logits.greedy($0) } == 1)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func damagedLogitsAreRefused(bad: Float) {
        let logits: [Float] = [1, bad, 3]
        #expect(throws: RuntimeError.notFinite) {
            try logits.withUnsafeBufferPointer { try Logits.greedy($0) }
        }
    }

    @Test func alternativesAreLikeliestFirstAndLowestIDFirstInATie() {
        let logits: [Float] = [0, 2, 1, 2, -1]
        let found = logits.withUnsafeBufferPointer { Logits.probabilities(of: 2, in: $0, top: 3) }
        #expect(found.top.map(\.id) == [1, 3, 2])
        #expect(found.logprob == found.top[2].logprob)
    }

    /// However many are asked for, they are the beginning of the sorted vocabulary.
    @Test(arguments: [0, 1, 64, 65, 1000, 5000]) func alternativesAreThoseOfASort(count: Int) {
        // 997 values for 2000 ids: full of ties.
        let logits = (0..<2000).map { Float($0 * 7919 % 997) }
        let found = logits.withUnsafeBufferPointer { Logits.probabilities(of: 0, in: $0, top: count) }
        let sorted = logits.indices.sorted { (logits[$1], $0) < (logits[$0], $1) }
        #expect(found.top.map(\.id) == Array(sorted.prefix(count)))
    }
}
