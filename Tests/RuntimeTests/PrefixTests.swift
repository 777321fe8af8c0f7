import DoraLoader
import DoraTensor
import Testing

@testable import DoraRuntime

/// What requests begin with alike is computed once for all of an adapter, up to the very token at which they part, and no bit
/// tells.
@Suite struct PrefixTests {
    /// All layers see everything; all see a window; every other does.
    private static let families = ["qwen3", "mistral", "gemma2"]

    /// Tokens that all have, and then some that begin with another for each number.
    private static func prompt(_ shared: Int, _ number: Int, _ own: Int = 30) -> [Int] {
        (0..<shared).map { 3 + ($0 * $0 + 5 * $0) % 41 } + (0..<own).map { (number + $0 * 7) % 48 }
    }

    private static func check(
        _ prompt: [Int], cached: Int, on engine: TestEngine, adapter: String? = nil
    ) async throws -> [Int] {
        let reply = try await engine.generate(
            prompt, adapter: adapter.map { .named($0, generation: nil) } ?? .base, maximumTokens: 6)
        #expect(reply.cachedTokens == cached, "\(prompt.count)")
        let alone = try engine.alone(prompt, adapter: adapter, maximumTokens: 6)
        #expect(reply.completion.tokenIDs == alone.tokenIDs)
        #expect(reply.completion.logprobs == alone.logprobs, "\(prompt.count)")
        return reply.completion.tokenIDs
    }

    @Test(arguments: families, [1, 25, 63, 64, 65, 127])
    func aBeginningIsTakenUpToAnyToken(family: String, shared: Int) async throws {
        let model = try WindowedModel(family)
        let engine = try TestEngine(adapters: [], folder: model.folder)
        for (number, own) in [(0, 30), (1, 30), (2, 300), (3, 1), (4, 70)] {
            _ = try await Self.check(
                Self.prompt(shared, number, own), cached: number == 0 ? 0 : shared, on: engine)
        }
        // All but the token whose logits are wanted.
        _ = try await Self.check(Self.prompt(shared, 2, 300), cached: shared + 299, on: engine)
    }

    /// Of what was said before, only the token that was made last is computed.
    @Test(arguments: families) func aTextIsGoneOnFromWhereItEnded(family: String) async throws {
        let model = try WindowedModel(family)
        let engine = try TestEngine(adapters: [], folder: model.folder)
        var (text, cached) = ([Int](), 0)
        for turn in 0..<10 {
            text += Self.prompt(0, turn, 5 + 9 * turn)
            text += try await Self.check(text, cached: cached, on: engine)
            cached = text.count - 1
        }
        #expect(text.count > 6 * 64)
        // What each turn left has been of no use since the next.
        let blocks = (cached + 63) / 64
        let (found, block) = (await engine.statistics().keyValueBytes, try engine.blockBytes)
        if family == "qwen3" { #expect(found == blocks * block) }
    }

    @Test(arguments: [20, 70]) func adaptersNeverShareATokenOfIt(count: Int) async throws {
        let names = ["dora-qkv", "dora-all-linear"]
        let engine = try TestEngine(adapters: names)
        let prompt = Self.prompt(count, 1)
        for (turn, name) in ([nil] + names + [nil] + names).enumerated() {
            _ = try await Self.check(
                prompt, cached: turn < 3 ? 0 : prompt.count - 1, on: engine, adapter: name)
        }
        // Nor do generations of one name: the same adapter in its other form is another.
        var order = AdapterOrder(name: "dora-qkv")
        order.form = .factored
        order.isReplacement = true
        _ = try await engine.load(order)
        let reply = try await engine.generate(
            prompt, adapter: .named("dora-qkv", generation: nil), maximumTokens: 6)
        #expect(reply.cachedTokens == 0 && reply.adapter?.generation == 2)
        #expect(
            reply.completion.logprobs
                == (try engine.alone(prompt, adapter: "dora-qkv", as: .factored, maximumTokens: 6)).logprobs)
    }

    /// Scores, choices and texts leave each other their prompts.
    @Test func allKindsOfRequestsShare() async throws {
        let engine = try TestEngine(adapters: [])
        let prompts = (0..<4).map { Self.prompt(25, $0) }
        let score = ScoreRequest(prompt: prompts[0], continuations: [[5], [6, 7, 8], [6, 9]], top: 2)
        let first = try await engine.score(score, adapter: .base)
        #expect(first.cachedTokens == 0)
        _ = try await Self.check(prompts[1], cached: 25, on: engine)
        let again = try await engine.score(score, adapter: .base)
        #expect(again.cachedTokens == prompts[0].count - 1)
        let other = try await engine.score(
            ScoreRequest(prompt: prompts[2], continuations: score.continuations, top: 2), adapter: .base)
        #expect(other.cachedTokens == 25)
        let whole = try await engine.score(
            ScoreRequest(prompt: prompts[2], continuations: nil, top: 2), adapter: .base)
        #expect(whole.cachedTokens == 0)
        for (found, prompt) in [(first, prompts[0]), (again, prompts[0]), (other, prompts[2])] {
            let alone = try engine.alone(
                ScoreRequest(prompt: prompt, continuations: score.continuations, top: 2), adapter: nil)
            #expect(found.scores?.lists == alone.lists)
        }
        let choice = GenerationRequest(
            prompt: prompts[3], choices: Choices([[5, 6], [7]], texts: [nil, nil]), logprobs: 0)
        let chosen = try await engine.generate(choice, adapter: .base)
        #expect(chosen.cachedTokens == 25)
        #expect(chosen.completion.tokenIDs == (try engine.alone(choice, adapter: nil)).tokenIDs)
    }

    /// Runs requests in one batch; each comes after as many steps as it says. Each gets what it gets alone.
    /// - Returns: how much of each prompt was known.
    private static func run(_ prompts: [[Int]], after steps: [Int]) throws -> [Int] {
        let compute = try Compute(threads: 2)
        let model = try WindowedModel("qwen3")
        let base = try BaseModel(folder: model.folder, on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        let served = ServedModel(weights: base.weights, language: Language(of: base))
        let requests = prompts.map {
            GenerationRequest(prompt: $0, maximumTokens: 9, ignoresEOS: true, logprobs: 3)
        }
        var batch = Batch(
            pass: pass, context: 256, maximumSequences: 16, bytes: 100 * pass.geometry.blockBytes)
        var (ended, step) = ([Batch.Ended](), 0)
        while !batch.isEmpty || step <= steps.max() ?? 0 {
            for (serial, request) in requests.enumerated() where steps[serial] == step {
                let work = EngineRequest.Work.generate(request)
                let request = EngineRequest(
                    key: RequestKey(connection: 0, serial: serial), adapter: .base, work: work,
                    streams: false, report: { _ in })
                let isIn = batch.admit(
                    EngineLoop.Waiting(request: request, adapter: nil, arrival: .now), work, by: served)
                #expect(isIn)
            }
            ended += batch.step()
            #expect(batch.usedBytes <= batch.budget.bytes)
            step += 1
        }
        #expect(ended.count == prompts.count && batch.keptBytes == 0)
        let generator = try Generator(
            base.configuration, weights: base.weights, eosIDs: [], tokenizer: nil, keyValues: .f16,
            on: compute)
        var cached = prompts.map { _ in -1 }
        for ended in ended {
            let serial = ended.request.key.serial
            guard case .finished(let reply) = ended.outcome else { continue }
            cached[serial] = reply.cachedTokens
            #expect(
                reply.completion.logprobs == (try generator.generate(requests[serial])).logprobs, "\(serial)")
        }
        return cached
    }

    /// A prompt is there for others as soon as it is computed, before its text has come to an end.
    @Test func whoComesMeanwhileSharesWithWhoRuns() throws {
        let prompts = (0..<16).map { Self.prompt(25, $0, 12) }
        let cached = try Self.run(prompts, after: [0] + Array(repeating: 1, count: 15))
        #expect(cached == [0] + Array(repeating: 25, count: 15))
    }

    /// Of those that come together, some are computed first; the others begin with what these have left.
    @Test func whoWaitsForATurnSharesWithThoseBefore() throws {
        // A step has room for one of these and a part of the next.
        let prompts = (0..<5).map { Self.prompt(150, $0, 50) }
        #expect(try Self.run(prompts, after: [0, 0, 0, 0, 0]) == [0, 0, 150, 150, 150])
    }

    /// Where there is room for few, what was used last is kept, and every text is what it is alone.
    @Test(arguments: families, [9, 14]) func littleMemoryIsNeverExceeded(family: String, blocks: Int)
        async throws
    {
        let model = try WindowedModel(family)
        let bytes = try TestEngine(adapters: [], folder: model.folder).blockBytes
        let engine = try TestEngine(adapters: [], folder: model.folder) {
            $0.keyValueBytes = blocks * bytes
            $0.maximumSequences = 3
        }
        var random = SeededGenerator(seed: 11)
        let prompts = (0..<40).map { number in
            Self.prompt(
                Int.random(in: 1...150, using: &random), number, Int.random(in: 1...60, using: &random))
        }
        let replies = try await withThrowingTaskGroup(of: (Int, EngineReply).self) { group in
            for (index, prompt) in prompts.enumerated() {
                group.addTask {
                    (
                        index,
                        try await engine.generate(
                            prompt, adapter: .base, maximumTokens: 5 + index, connection: index % 5)
                    )
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (index, prompt) in prompts.enumerated() {
            let alone = try engine.alone(prompt, adapter: nil, maximumTokens: 5 + index)
            #expect(replies[index]?.completion.logprobs == alone.logprobs, "\(index)")
        }
        #expect(replies.values.reduce(0) { $0 + $1.cachedTokens } > 500)
        let statistics = await engine.statistics()
        #expect(statistics.keyValueBytes <= statistics.keyValueBudget && statistics.keptKeyValueBytes == 0)
    }
}
