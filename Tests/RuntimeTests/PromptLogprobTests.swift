import DoraLoader
import DoraTensor
import Testing

@testable import DoraRuntime

/// A prompt that is scored while it is taken in: its bits are those of a score, the answer's those of a generation.
@Suite struct PromptLogprobTests {
    private static func prompt(_ count: Int) -> [Int] { (0..<count).map { ($0 * 7 + 3) % 100 } }

    @Test(arguments: ["gqa-f32--dora-qkv", "int8--dora-qkv-int8"], [(1, 1), (7, 2), (256, 2)])
    func oneRequestGivesTheBitsOfTwo(name: String, chunkAndThreads: (Int, Int)) throws {
        let golden = try GoldenCase.load(name)
        let reference = try TestModel(golden, storage: StorageOptions(), keyValues: .f16)
        let model = try TestModel(
            golden, storage: StorageOptions(), keyValues: .f16, chunk: chunkAndThreads.0,
            threads: chunkAndThreads.1)
        for count in [1, 2, 63, 64, 65, 100] {
            let prompt = Self.prompt(count)
            var request = GenerationRequest(prompt: prompt, maximumTokens: 5, ignoresEOS: true, logprobs: 2)
            let made = try reference.generator.generate(request)
            let scored = try reference.generator.score(ScoreRequest(prompt: prompt, top: 2))
            request.promptLogprobs = 2
            let both = try model.generator.generate(request)
            #expect(both.promptLogprobs == scored.lists[0] && both.promptLogprobs.count == count - 1)
            #expect(both.logprobs == made.logprobs && both.tokenIDs == made.tokenIDs, "\(count) tokens")
        }
    }

    /// What earlier requests left of the prompt is computed again, since its logits are wanted.
    @Test func amongOthersTheBitsAreThoseOfEachAlone() async throws {
        let engine = try TestEngine(adapters: ["dora-qkv"]) { $0.maximumSequences = 5 }
        let choice = AdapterChoice.named("dora-qkv", generation: nil)
        // One after the other: they share their threads.
        let alone = try (0..<3).map { index in
            (
                score: try engine.alone(
                    ScoreRequest(prompt: Self.prompt(70 + index), top: 1), adapter: "dora-qkv"),
                made: try engine.alone(Self.prompt(70 + index), adapter: "dora-qkv", maximumTokens: 3)
            )
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<20 {
                group.addTask {
                    let prompt = Self.prompt(70 + index % 3)
                    _ = try await engine.generate(
                        prompt, adapter: choice, maximumTokens: 3, connection: index)
                    var request = GenerationRequest(
                        prompt: prompt, maximumTokens: 3, ignoresEOS: true, logprobs: 3)
                    request.promptLogprobs = 1
                    let reply = try await engine.generate(request, adapter: choice, connection: index)
                    let (score, made) = alone[index % 3]
                    #expect(reply.completion.promptLogprobs == score.lists[0])
                    #expect(reply.completion.logprobs == made.logprobs)
                    #expect(reply.cachedTokens == 0 && reply.prompt == prompt)
                }
            }
            try await group.waitForAll()
        }
    }

    /// Without a maximum of its own a text ends with the context, or with the memory for it.
    @Test func whoAsksForAllThereIsGetsWhatMemoryHolds() async throws {
        let block = try TestEngine(adapters: []).blockBytes
        for (blocks, expected) in [(1, 64), (100, 128)] {
            let engine = try TestEngine(adapters: []) { $0.keyValueBytes = blocks * block }
            let prompt = Self.prompt(10)
            let reply = try await engine.generate(prompt, adapter: .base, maximumTokens: .max)
            // The last token's keys and values are not needed.
            #expect(reply.completion.tokenIDs.count == expected - prompt.count + 1)
            #expect(reply.completion.finishReason == .length)
            let made = try engine.alone(prompt, adapter: nil, maximumTokens: expected - prompt.count + 1)
            #expect(reply.completion.logprobs == made.logprobs)
        }
        let engine = try TestEngine(adapters: []) { $0.keyValueBytes = block }
        await #expect {
            try await engine.generate(Self.prompt(64), adapter: .base, maximumTokens: .max)
        } throws: {
            ($0 as? EngineError)?.code == "too_long"
        }
    }

    /// The pieces of a stream bring the log probabilities of their tokens.
    @Test func piecesCarryTheirLogprobs() async throws {
        let engine = try TestEngine(adapters: [])
        let work = EngineRequest.Work.generate(
            GenerationRequest(prompt: Self.prompt(9), maximumTokens: 6, ignoresEOS: true, logprobs: 2))
        let (events, continuation) = AsyncStream.makeStream(of: EngineEvent.self)
        try engine.engine.submit(
            EngineRequest(
                key: RequestKey(connection: 0, serial: 0), adapter: .base, work: work, streams: true
            ) {
                continuation.yield($0)
                switch $0 {
                case .started, .piece: return
                case .finished, .failed: continuation.finish()
                }
            })
        var starts = 0
        var found: [TokenLogprob] = []
        for await event in events {
            switch event {
            case .started(let start):
                starts += 1
                #expect(start.prompt == Self.prompt(9) && found.isEmpty)
            case .piece(_, let ids, let logprobs):
                #expect(ids == logprobs.map(\.id))
                found += logprobs
            case .finished(let reply): #expect(reply.completion.logprobs == found && found.count == 6)
            case .failed(let error): Issue.record("\(error)")
            }
        }
        #expect(starts == 1)
    }
}
