import DoraLoader
import DoraTensor
import Testing

@testable import DoraRuntime

/// Continuations of one prompt, scored together over the prompt's keys and values: each gets the bits that prompt and
/// continuation get when they are scored as one text.
@Suite struct ScoreTests {
    private static let cases = [
        "gqa-f32--dora-qkv", "int8--dora-qkv-int8", "nf4-double--dora-qkv-nf4-double", "head-dim",
    ]
    /// Of one token, of two that begin alike, over the end of a block, and more than are computed together.
    private static let continuations: [[Int]] =
        [[5], [5], [5, 6], [5, 7, 8], (0..<28).map { $0 * 5 % 100 }] + (0..<20).map { [$0, 3, $0] }
        + (0..<30).map { [9, 9 - $0 % 4, $0 % 7, 3, $0, $0] }

    private static func prompt(_ count: Int) -> [Int] { (0..<count).map { ($0 * 7 + 3) % 100 } }

    @Test(arguments: cases, [(1, 1), (7, 2), (256, 2)])
    func aContinuationGetsTheBitsOfTheWholeText(name: String, chunkAndThreads: (Int, Int)) throws {
        let golden = try GoldenCase.load(name)
        let reference = try TestModel(golden, storage: StorageOptions(), keyValues: .f16)
        let model = try TestModel(
            golden, storage: StorageOptions(), keyValues: .f16, chunk: chunkAndThreads.0,
            threads: chunkAndThreads.1)
        for count in [1, 5, 63, 64, 65, 100] {
            // The context is 128 positions.
            let prompt = Self.prompt(count)
            let found = try model.generator.score(
                ScoreRequest(prompt: prompt, continuations: Self.continuations, top: 3))
            #expect(found.lists.count == Self.continuations.count)
            for (continuation, list) in zip(Self.continuations, found.lists) {
                let whole = try reference.generator.score(ScoreRequest(prompt: prompt + continuation, top: 3))
                #expect(list.map(\.id) == continuation)
                #expect(list == Array(whole.lists[0].suffix(continuation.count)), "\(count) tokens")
            }
        }
    }

    /// Scored as one text, a greedy completion has the log probabilities with which it was made.
    @Test func whatWasGeneratedIsScoredAlike() throws {
        let model = try TestModel(
            GoldenCase.load("int8--dora-qkv-int8"), storage: StorageOptions(), keyValues: .f16)
        let prompt = Self.prompt(70)
        let made = try model.generator.generate(
            GenerationRequest(prompt: prompt, maximumTokens: 20, ignoresEOS: true, logprobs: 2))
        let scored = try model.generator.score(
            ScoreRequest(prompt: prompt, continuations: [made.tokenIDs], top: 2))
        #expect(scored.lists == [made.logprobs])
    }

    /// Where all keys are rotated by the length of the text, continuations of different lengths have different ones.
    @Test(arguments: ["llama-longrope", "llama-dynamic", "phi3"], [1, 5, 252])
    func aContinuationIsRotatedAsItsOwnLengthDemands(family: String, chunk: Int) throws {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(folder: Fixtures.path("families/\(family)/base"), on: compute)
        let generator = try Generator(
            base.configuration, weights: base.weights, eosIDs: [], tokenizer: nil, keyValues: .f16,
            chunk: chunk, on: compute)
        // Up to 16 positions, texts of all lengths are rotated alike.
        let continuations: [[Int]] =
            [[5], [5, 6], [9, 8, 7, 6]] + (1..<30).map { length in (0..<length).map { 3 + $0 * 7 % 40 } }
        for count in [4, 13, 15, 16, 17, 20] {
            let prompt = (0..<count).map { 3 + ($0 * 11) % 40 }
            let found = try generator.score(
                ScoreRequest(prompt: prompt, continuations: continuations, top: 2))
            for (continuation, list) in zip(continuations, found.lists) {
                let whole = try generator.score(ScoreRequest(prompt: prompt + continuation, top: 2))
                #expect(list == Array(whole.lists[0].suffix(continuation.count)), "\(count) tokens")
            }
            // A choice is the one that is made without scores, and has the scores of each alone.
            let texts = continuations.dropFirst(2).map { $0 + [40 + $0.count % 4, 4] }
            let choices = Choices(texts, texts: texts.map { _ in nil })
            let made = try generator.generate(GenerationRequest(prompt: prompt, choices: choices))
            let scored = try generator.generate(
                GenerationRequest(prompt: prompt, choices: choices, logprobs: 1))
            #expect(scored.tokenIDs == made.tokenIDs && scored.choice?.index == made.choice?.index)
            let alone = try generator.score(ScoreRequest(prompt: prompt, continuations: texts, top: 1))
            #expect(scored.choice?.scores == alone)
        }
    }

    @Test func aPromptOfOneTokenHasNothingToScore() throws {
        let model = try TestModel(GoldenCase.load("gqa-f32"), storage: StorageOptions())
        #expect(try model.generator.score(ScoreRequest(prompt: [1])).lists == [[]])
    }

    @Test func whatCannotBeScoredIsRefused() throws {
        let model = try TestModel(GoldenCase.load("gqa-f32"), storage: StorageOptions())
        let most = model.generator.context
        func problem(_ prompt: [Int], _ continuations: [[Int]]?) -> RuntimeError? {
            do {
                _ = try model.generator.score(ScoreRequest(prompt: prompt, continuations: continuations))
                return nil
            } catch { return error as? RuntimeError }
        }
        #expect(problem([], [[1]]) == .emptyPrompt)
        #expect(problem([1], [[1], []]) == .emptyContinuation(1))
        #expect(
            problem([1], [[1], [128]]) == .continuationOutOfRange(1, id: 128, vocabularySize: 128))
        let long = [Int](repeating: 1, count: most)
        #expect(problem(long, [[1]]) == .continuationTooLong(0, tokens: most + 1, context: most))
        #expect(problem(Array(long.dropLast()), [[1]]) == nil)
    }
}

/// Scores from an engine: a place in the batch like any other.
@Suite struct EngineScoreTests {
    private static let names = ["dora-qkv", "dora-embed-head", "dora-all-linear"]

    private func choice(_ adapter: String?) -> AdapterChoice {
        adapter.map { .named($0, generation: nil) } ?? .base
    }

    /// Of several adapters, beside requests that generate, and whatever part of the prompt an earlier request had left.
    @Test func scoresAmongOtherRequestsAreThoseOfEachAlone() async throws {
        let engine = try TestEngine(adapters: Self.names) { $0.maximumSequences = 5 }
        var random = SeededGenerator(seed: 11)
        func ids(_ range: ClosedRange<Int>) -> [Int] {
            (0..<Int.random(in: range, using: &random)).map { _ in Int.random(in: 0..<128, using: &random) }
        }
        let asked = (0..<60).map { index in
            let beginning = [Int](repeating: 1 + index % 2, count: 70)
            let continuations = index % 3 == 0 ? nil : (0..<(1 + index % 20)).map { _ in ids(1...9) }
            return (
                adapter: ([nil] + Self.names.map(Optional.some))[index % 4],
                request: ScoreRequest(prompt: beginning + ids(1...40), continuations: continuations, top: 2)
            )
        }
        let replies = try await withThrowingTaskGroup(of: (Int, EngineReply).self) { group in
            for (index, item) in asked.enumerated() {
                group.addTask {
                    _ = try await engine.generate(
                        item.request.prompt, adapter: choice(item.adapter), maximumTokens: 3,
                        connection: index % 7)
                    let reply = try await engine.score(
                        item.request, adapter: choice(item.adapter), connection: index % 7)
                    return (index, reply)
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (index, item) in asked.enumerated() {
            let reply = try #require(replies[index])
            #expect(reply.adapter?.name == item.adapter)
            #expect(reply.completion.finishReason == .scored)
            #expect(reply.scores == (try engine.alone(item.request, adapter: item.adapter)))
            // A beginning that was computed before spares the continuations' prompt, not the prompt's own scores.
            #expect((reply.cachedTokens > 0) == (item.request.continuations != nil))
        }
        let statistics = await engine.statistics()
        #expect(statistics.running == 0 && statistics.finished == 120)
    }

    /// However little memory there is, the continuations only take turns.
    @Test func littleMemoryLeavesTheBitsAlone() async throws {
        let request = ScoreRequest(
            prompt: (0..<70).map { $0 % 100 }, continuations: (0..<40).map { [$0, $0 + 1, $0 + 2] }, top: 1)
        let block = try TestEngine(adapters: []).blockBytes
        for blocks in [3, 4, 9, 100] {
            let engine = try TestEngine(adapters: []) { $0.keyValueBytes = blocks * block }
            let reply = try await engine.score(request, adapter: .base)
            #expect(reply.scores == (try engine.alone(request, adapter: nil)), "\(blocks) blocks")
        }
        let engine = try TestEngine(adapters: []) { $0.keyValueBytes = 2 * block }
        await #expect {
            try await engine.score(request, adapter: .base)
        } throws: {
            ($0 as? EngineError)?.code == "too_long" && ($0 as? EngineError)?.param == "continuations"
        }
        // Of one token each, they need nothing beside the prompt.
        let short = ScoreRequest(prompt: request.prompt, continuations: [[1], [2]])
        #expect(try await engine.score(short, adapter: .base).scores?.lists.count == 2)
    }

    @Test func whatAnEngineCannotScoreIsRefusedAtOnce() async throws {
        let engine = try TestEngine(adapters: [])
        for (request, code) in [
            (ScoreRequest(prompt: []), "empty_prompt"),
            (ScoreRequest(prompt: [1], continuations: [[]]), "empty_continuation"),
            (ScoreRequest(prompt: [1], continuations: [[1000]]), "token_out_of_range"),
            (
                ScoreRequest(prompt: [1], continuations: [[Int](repeating: 1, count: 5000)]),
                "prompt_too_long"
            ),
        ] {
            await #expect {
                try await engine.score(request, adapter: .base)
            } throws: { ($0 as? EngineError)?.code == code }
        }
        await #expect {
            try await engine.score(ScoreRequest(prompt: [1, 2]), adapter: .named("none", generation: nil))
        } throws: { ($0 as? EngineError)?.code == "unknown_adapter" }
    }

    /// Much to score keeps no text in the making waiting, and leaves nothing when it is cancelled.
    @Test func muchToScoreTakesPartOfEachStepAndCanBeCancelled() throws {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(folder: Fixtures.path("bases/gqa-f32"), on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        var batch = Batch(
            pass: pass, context: 128, maximumSequences: 2, bytes: 100 * pass.geometry.blockBytes)
        let score = ScoreRequest(
            prompt: [1, 2, 3], continuations: (0..<500).map { [Int](repeating: $0 % 100, count: 100) })
        let generation = GenerationRequest(prompt: [1, 2], maximumTokens: 20)
        let model = ServedModel(weights: base.weights, language: Language(of: base))
        for (serial, work) in [EngineRequest.Work.score(score), .generate(generation)].enumerated() {
            let request = EngineRequest(
                key: RequestKey(connection: 0, serial: serial), adapter: .base, work: work, streams: false,
                report: { _ in })
            let waiting = EngineLoop.Waiting(request: request, adapter: nil, arrival: .now)
            let isIn = batch.admit(waiting, work, by: model)
            #expect(isIn)
        }
        // Prompt, prompt again for who waits his turn, and a step for each further token.
        var ended: [Batch.Ended] = []
        var steps = 0
        while ended.isEmpty, steps < 100 {
            ended = batch.step()
            steps += 1
        }
        #expect(ended.map(\.request.key.serial) == [1] && steps <= 22)
        #expect(batch.usedBytes > 0)
        let cancelled = batch.cancel { $0.serial == 0 }
        guard case .finished(let reply) = try #require(cancelled.first).outcome else {
            Issue.record("\(cancelled)")
            return
        }
        #expect(reply.completion.finishReason == .cancelled && reply.scores == nil)
        #expect(batch.isEmpty && batch.keptBytes == 0)
    }
}
