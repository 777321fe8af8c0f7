import DoraLoader
import DoraTensor
import Synchronization
import Testing

@testable import DoraRuntime

/// The engine as a server sees it: whatever runs beside a request, it gets the bits that it gets alone.
@Suite struct EngineTests {
    @Test func aMixtureOfRequestsGetsWhatEachGetsAlone() async throws {
        let names = ["dora-qkv", "dora-embed-head", "lora-bias-b", "dora-all-linear", "dora-tokens"]
        let engine = try TestEngine(adapters: names) { $0.maximumSequences = 5 }
        var random = SeededGenerator(seed: 7)
        let asked = (0..<60).map { _ in
            let adapter = ([nil] + names.map(Optional.some)).randomElement(using: &random) ?? nil
            // Few beginnings, so that many share blocks of keys and values.
            let beginning = [Int](repeating: Int.random(in: 1...2, using: &random), count: 70)
            let prompt =
                beginning
                + (0..<Int.random(in: 1...30, using: &random)).map { _ in
                    Int.random(in: 0..<128, using: &random)
                }
            return (adapter: adapter, prompt: prompt, count: Int.random(in: 1...20, using: &random))
        }
        let replies = try await withThrowingTaskGroup(of: (Int, EngineReply).self) { group in
            for (index, request) in asked.enumerated() {
                group.addTask {
                    (
                        index,
                        try await engine.generate(
                            request.prompt,
                            adapter: request.adapter.map { .named($0, generation: nil) } ?? .base,
                            maximumTokens: request.count, connection: index % 7)
                    )
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (index, request) in asked.enumerated() {
            let reply = try #require(replies[index])
            let alone = try engine.alone(
                request.prompt, adapter: request.adapter, maximumTokens: request.count)
            #expect(reply.completion.tokenIDs == alone.tokenIDs)
            #expect(reply.completion.logprobs == alone.logprobs, "\(request.adapter ?? "base")")
            #expect(reply.adapter?.name == request.adapter)
        }
        let statistics = await engine.statistics()
        #expect(statistics.cachedTokens > 0)
        #expect(statistics.finished == 60 && statistics.running == 0 && statistics.queued == 0)
    }

    /// Keys and values that one adapter left must not be read under another.
    @Test func aBeginningIsNotSharedBetweenAdapters() async throws {
        let engine = try TestEngine(adapters: ["dora-qkv", "dora-all-linear"])
        let prompt = (0..<100).map { ($0 * 13) % 128 }
        for name in [nil, "dora-qkv", "dora-all-linear", nil, "dora-qkv"] as [String?] {
            let reply = try await engine.generate(
                prompt, adapter: name.map { .named($0, generation: nil) } ?? .base, maximumTokens: 8)
            #expect(
                reply.completion.logprobs
                    == (try engine.alone(prompt, adapter: name, maximumTokens: 8)).logprobs)
        }
    }

    @Test func aRequestWithoutAnAdapterGetsTheStandardOne() async throws {
        let engine = try TestEngine(adapters: ["dora-qkv", "dora-all-linear"]) { $0.standard = "dora-qkv" }
        for _ in 0..<2 {
            let standard = try await engine.generate([1, 2, 3], adapter: .standard, maximumTokens: 2)
            #expect(standard.adapter == AdapterIdentity(name: "dora-qkv", generation: 1))
            let other = try await engine.generate(
                [1, 2, 3], adapter: .named("dora-all-linear", generation: nil), maximumTokens: 2)
            #expect(other.adapter?.name == "dora-all-linear")
            let base = try await engine.generate([1, 2, 3], adapter: .base, maximumTokens: 2)
            #expect(base.adapter == nil)
        }
    }

    @Test func aCancelledRequestFinishesAsCancelled() async throws {
        let engine = try TestEngine(adapters: []) { $0.maximumSequences = 1 }
        let keys = [RequestKey(connection: 1, serial: 1), RequestKey(connection: 2, serial: 1)]
        // Sent before the engine can have finished the first: it takes a step for each token.
        let replies = keys.map { key in
            Task { try await engine.generate([1], adapter: .base, maximumTokens: 120, key: key) }
        }
        try await Task.sleep(for: .milliseconds(2))
        engine.engine.cancel(keys[0])
        engine.engine.cancelAll(ofConnection: 2)
        for reply in replies {
            let reply = try await reply.value
            // Whoever was quicker: a request has one end, and a late cancel changes nothing.
            let isWhole = reply.completion.tokenIDs.count == 120
            #expect(reply.completion.finishReason == (isWhole ? .length : .cancelled))
        }
        let statistics = await engine.statistics()
        #expect(statistics.running == 0 && statistics.queued == 0)
        #expect(statistics.finished + statistics.cancelled == 2)
    }

    @Test func aFullQueueAnswersAtOnce() throws {
        let limit = QueueLimit(2)
        try limit.enter(1)
        try limit.enter(1)
        #expect { try limit.enter(2) } throws: { ($0 as? EngineError)?.kind == .busy }
        limit.leave(1, forPlace: true)
        try limit.enter(2)
    }

    @Test func neitherGreedNorCrowdsKeepOutWhoAsksNowAndThen() throws {
        let limit = QueueLimit(32)
        func isFull(_ connection: Int) -> Bool {
            do {
                try limit.enter(connection)
                return false
            } catch { return error.kind == .busy }
        }
        try limit.enter(1)
        limit.leave(1, forPlace: true)
        for _ in 0..<20 { try limit.enter(2) }
        for connection in 3..<13 { try limit.enter(connection) }
        #expect(isFull(2) && isFull(20))
        #expect(!isFull(1))
        #expect(isFull(1))
        limit.forget(1)
        #expect(isFull(1))
    }

    /// One adapter fits the budget: each request evicts the other's, and each comes back as it was.
    @Test func anEvictedAdapterComesBackAsItWas() async throws {
        let engine = try TestEngine(adapters: ["dora-qkv", "dora-all-linear"]) { options in
            options.adapterBytes = 1 << 20
        }
        let largest = await engine.bytes(of: ["dora-qkv", "dora-all-linear"]).max() ?? 0
        let small = try TestEngine(adapters: ["dora-qkv", "dora-all-linear"]) { $0.adapterBytes = largest }
        for _ in 0..<3 {
            for name in ["dora-qkv", "dora-all-linear"] {
                let reply = try await small.generate(
                    [5, 6, 7], adapter: .named(name, generation: nil), maximumTokens: 4)
                #expect(reply.adapter == AdapterIdentity(name: name, generation: 1))
                #expect(
                    reply.completion.logprobs
                        == (try small.alone([5, 6, 7], adapter: name, maximumTokens: 4)).logprobs)
            }
        }
        let statistics = await small.statistics()
        #expect(statistics.evictions == 5 && statistics.merges == 6)
        #expect(statistics.adapterBytes <= largest)
    }

    @Test func aBrokenAdapterIsRefusedAndNothingElseChanges() async throws {
        let engine = try TestEngine(adapters: ["dora-qkv", "dora-qkv-head-dim"])
        await #expect {
            try await engine.generate(
                [1], adapter: .named("dora-qkv-head-dim", generation: nil), maximumTokens: 1)
        } throws: { ($0 as? EngineError)?.code == "adapter_refused" }
        let reply = try await engine.generate(
            [1], adapter: .named("dora-qkv", generation: nil), maximumTokens: 3)
        #expect(
            reply.completion.logprobs
                == (try engine.alone([1], adapter: "dora-qkv", maximumTokens: 3)).logprobs)
    }
}
