import DoraLoader
import DoraTensor
import Testing

@testable import DoraRuntime

/// Layers that see a window keep no more than that: keys and values that no later token sees are given back, and every
/// result is what it is when all are kept.
@Suite struct WindowTests {
    /// With windows in all layers, in every other, and in two of three.
    private static let families = ["mistral", "gemma2", "gemma3_text"]

    private static func prompt(_ count: Int, from start: Int = 0) -> [Int] {
        (start..<start + count).map { 3 + ($0 * $0 + 5 * $0) % 41 }
    }

    /// Computes tokens behind a state; answers with the logits of the last.
    private static func step(
        _ pass: ForwardPass, _ base: BaseModel, _ state: inout SequenceState, _ tokens: ArraySlice<Int>
    ) throws -> [Float] {
        var last: [Float] = []
        let part = try StepPart(
            weights: base.weights, extending: &state, by: tokens, logits: .last, in: pass.heap)
        try pass.step([part]) { _, _, logits in last = Array(logits) }
        return last
    }

    @Test(arguments: families, [1, 17, 64, 252])
    func manyWindowsHoldTheBlocksOfOne(family: String, chunk: Int) throws {
        let compute = try Compute(threads: 2)
        let model = try WindowedModel(family)
        let base = try BaseModel(folder: model.folder, on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        let tokens = Self.prompt(1000)
        var (state, whole) = (SequenceState(pass.geometry), SequenceState(pass.geometry))
        whole.anchor = 0
        let most = (WindowedModel.window + chunk + 63) / 64 + 1
        for start in stride(from: 0, to: tokens.count, by: chunk) {
            let some = tokens[start..<min(start + chunk, tokens.count)]
            let found = try Self.step(pass, base, &state, some)
            let expected = try Self.step(pass, base, &whole, some)
            #expect(found == expected, "\(start)")
            let all = (state.count + 63) / 64
            for (kept, other) in zip(state.keyValues, whole.keyValues) {
                #expect(kept.blocks.count <= (kept.geometry.shape.window == nil ? all : most))
                #expect(other.blocks.count == all)
            }
        }
        #expect(pass.geometry.groups.count == (family == "mistral" ? 1 : 2))
        #expect(pass.geometry.groups.contains { $0.shape.window == WindowedModel.window })
        #expect(state.byteCount < whole.byteCount)
    }

    /// A copy goes on by itself, and tokens are taken back as if they had never come.
    @Test(arguments: families, [KeyValueFormat.f16, .q8])
    func aStateIsAValueThatCanBeTakenBack(family: String, keyValues: KeyValueFormat) throws {
        let compute = try Compute(threads: 2)
        let model = try WindowedModel(family)
        let base = try BaseModel(folder: model.folder, on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: keyValues, on: compute)
        let (beginning, end) = (Self.prompt(250), Self.prompt(3, from: 7))
        var state = SequenceState(pass.geometry)
        _ = try Self.step(pass, base, &state, beginning[...])
        var (first, second) = (state, state)
        let expected = try Self.step(pass, base, &state, end[...])
        first.anchor = first.count
        _ = try Self.step(pass, base, &first, Self.prompt(240, from: 90)[...])
        #expect(first.count == 490)
        first.takeBack(to: 250)
        let (again, aside) = (
            try Self.step(pass, base, &first, end[...]), try Self.step(pass, base, &second, end[...])
        )
        #expect(again == expected)
        #expect(aside == expected)
    }

    /// What an earlier request left spares computing it, and changes nothing; nor does it when parts of it made room.
    @Test(arguments: families, [KeyValueFormat.f16, .q8])
    func aKnownBeginningGivesTheBitsOfTheWhole(family: String, keyValues: KeyValueFormat) async throws {
        let model = try WindowedModel(family)
        let beginning = Self.prompt(330)
        let roomy = try TestEngine(adapters: [], folder: model.folder) { $0.keyValues = keyValues }
        for (tail, cached) in [(400, 0), (30, 330), (70, 330), (500, 330)] {
            let prompt = beginning + Self.prompt(tail, from: tail)
            let reply = try await roomy.generate(prompt, adapter: .base, maximumTokens: 4)
            #expect(reply.cachedTokens == cached, "\(tail)")
            let alone = try roomy.alone(prompt, adapter: nil, maximumTokens: 4)
            #expect(reply.completion.logprobs == alone.logprobs, "\(tail)")
        }
        let block = try roomy.blockBytes
        let tight = try TestEngine(adapters: [], folder: model.folder) {
            $0.keyValues = keyValues
            $0.keyValueBytes = 30 * block
            $0.maximumSequences = 3
        }
        var random = SeededGenerator(seed: 5)
        let prompts = (0..<24).map { index in
            Self.prompt(Int.random(in: 60...330, using: &random), from: index % 2)
                + Self.prompt(Int.random(in: 1...400, using: &random), from: index)
        }
        let replies = try await withThrowingTaskGroup(of: (Int, EngineReply).self) { group in
            for (index, prompt) in prompts.enumerated() {
                group.addTask {
                    (
                        index,
                        try await tight.generate(
                            prompt, adapter: .base, maximumTokens: 70, connection: index % 5)
                    )
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (index, prompt) in prompts.enumerated() {
            let alone = try tight.alone(prompt, adapter: nil, maximumTokens: 70)
            #expect(replies[index]?.completion.logprobs == alone.logprobs, "\(index)")
        }
        #expect(replies.values.contains { $0.cachedTokens > 0 })
        let statistics = await tight.statistics()
        #expect(statistics.keyValueBytes <= statistics.keyValueBudget && statistics.keptKeyValueBytes == 0)
    }

    /// Admission counts what is held at once, not what ever was.
    @Test func aTextOfManyWindowsFitsIntoTheMemoryOfOne() throws {
        let compute = try Compute(threads: 2)
        let model = try WindowedModel("mistral")
        let base = try BaseModel(folder: model.folder, on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        let most = (WindowedModel.window + pass.chunk + 63) / 64 + 1
        let work = EngineRequest.Work.generate(
            GenerationRequest(prompt: Self.prompt(1500), maximumTokens: 100, ignoresEOS: true))
        func batch(_ blocks: Int) -> Batch {
            Batch(
                pass: pass, context: 2048, maximumSequences: 2, bytes: blocks * pass.geometry.blockBytes)
        }
        let least = batch(most - 1)
        #expect(!least.fits(work))
        var batch = batch(most)
        #expect(batch.fits(work))
        let request = EngineRequest(
            key: RequestKey(connection: 0, serial: 0), adapter: .base, work: work, streams: false,
            report: { _ in })
        let waiting = EngineLoop.Waiting(request: request, adapter: nil, arrival: .now)
        let isIn = batch.admit(
            waiting, work, by: ServedModel(weights: base.weights, language: Language(of: base)))
        #expect(isIn)
        var ended: [Batch.Ended] = []
        while !batch.isEmpty {
            ended += batch.step()
            #expect(batch.usedBytes <= batch.budget.bytes)
        }
        guard case .finished(let reply) = try #require(ended.first).outcome else {
            Issue.record("\(ended)")
            return
        }
        #expect(reply.completion.tokenIDs.count == 100)
    }

    /// Continuations that go back to where they part, over many windows.
    @Test(arguments: families) func aContinuationGetsTheBitsOfTheWholeText(family: String) throws {
        let compute = try Compute(threads: 2)
        let model = try WindowedModel(family)
        let base = try BaseModel(folder: model.folder, on: compute)
        let generator = try Generator(
            base.configuration, weights: base.weights, eosIDs: [], tokenizer: nil, keyValues: .f16,
            on: compute)
        let long = Self.prompt(200, from: 3)
        let continuations: [[Int]] =
            [[4], Array(long.prefix(150)) + [5, 6], long, Array(long.prefix(20)) + [7, 8, 9]]
            + (0..<20).map { Array(long.prefix(10 * $0)) + [3 + $0, 4] }
        for prompt in [Self.prompt(300), Self.prompt(62)] {
            let found = try generator.score(
                ScoreRequest(prompt: prompt, continuations: continuations, top: 2))
            for (continuation, list) in zip(continuations, found.lists) {
                let whole = try generator.score(ScoreRequest(prompt: prompt + continuation, top: 2))
                #expect(list == Array(whole.lists[0].suffix(continuation.count)))
            }
        }
    }
}
