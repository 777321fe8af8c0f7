import DoraLoader
import DoraTensor
import Synchronization
import Testing

@testable import DoraRuntime

/// Texts that may each become as long as memory goes run side by side; the youngest make room, and nobody can tell.
@Suite struct MemoryTests {
    /// What became of requests, by their numbers.
    private struct Outcome {
        var replies: [Int: EngineReply] = [:]
        var streamed: [Int: [Int]] = [:]
        var order: [Int] = []
        var mostAtOnce = 0
        var preemptions = 0
    }

    private struct Model {
        let base: BaseModel
        let pass: ForwardPass

        init(_ folder: String = Fixtures.path("bases/gqa-f32")) throws {
            let compute = try Compute(threads: 2)
            base = try BaseModel(folder: folder, on: compute)
            pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        }
    }

    /// Without an end of their own: each fills the context of 256 positions, four blocks.
    private static let open = (0..<6).map { number in
        EngineRequest.Work.generate(
            GenerationRequest(
                prompt: (0..<(3 + number * 17)).map { 3 + ($0 * 7 + number) % 41 }, maximumTokens: .max,
                ignoresEOS: true, logprobs: 2))
    }

    /// - Parameters:
    ///   - blocks: for which there is memory, in all layers.
    ///   - each: is shown the batch after each step.
    private static func run(
        _ works: [EngineRequest.Work], on model: Model, blocks: Int,
        each: (inout Batch) -> [Batch.Ended] = { _ in [] }
    ) throws -> Outcome {
        let reports = Reports()
        let served = ServedModel(weights: model.base.weights, language: Language(of: model.base))
        var batch = Batch(
            pass: model.pass, context: 256, maximumSequences: 8,
            bytes: blocks * model.pass.geometry.blockBytes)
        var outcome = Outcome()
        var waiting = works.enumerated().map { serial, work in
            (
                work,
                EngineLoop.Waiting(
                    request: reports.request(serial, work), adapter: nil,
                    // Who waited longest in the queue is no older for that.
                    arrival: .now - .seconds(serial))
            )
        }[...]
        var steps = 0
        while !batch.isEmpty || !waiting.isEmpty {
            batch.resume()
            while let (work, first) = waiting.first, batch.admit(first, work, by: served) {
                waiting.removeFirst()
            }
            outcome.mostAtOnce = max(outcome.mostAtOnce, batch.running.count)
            let ended = batch.step() + each(&batch)
            #expect(batch.usedBytes <= batch.budget.bytes)
            for ended in ended {
                outcome.order.append(ended.request.key.serial)
                guard case .finished(let reply) = ended.outcome else { continue }
                outcome.replies[ended.request.key.serial] = reply
            }
            steps += 1
            try #require(steps < 5000, "nothing goes on")
        }
        outcome.streamed = reports.tokens
        outcome.preemptions = batch.preemptions
        return outcome
    }

    private static func alone(_ work: EngineRequest.Work, on model: Model) throws -> EngineReply {
        try #require(try run([work], on: model, blocks: 100).replies[0])
    }

    @Test(arguments: [4, 5, 7, 13]) func openEndedRequestsRunTogetherAndGetWhatTheyGetAlone(
        blocks: Int
    ) throws {
        try check(on: Model(), blocks: blocks)
    }

    /// Where some layers, or all, give back what their window has left.
    @Test(arguments: ["mistral", "gemma2", "gemma3_text"], [4, 6]) func soDoTheyOnWindows(
        family: String, blocks: Int
    ) throws {
        let model = try WindowedModel(family)
        try check(on: Model(model.folder), blocks: blocks)
    }

    private func check(on model: Model, blocks: Int) throws {
        let outcome = try Self.run(Self.open, on: model, blocks: blocks)
        #expect(outcome.mostAtOnce > 1 && outcome.preemptions > 0)
        for (serial, work) in Self.open.enumerated() {
            let reply = try #require(outcome.replies[serial])
            let expected = try Self.alone(work, on: model).completion
            #expect(expected.tokenIDs.count + work.prompt.count > 250)
            #expect(reply.completion.tokenIDs == expected.tokenIDs, "\(serial)")
            #expect(reply.completion.logprobs == expected.logprobs, "\(serial)")
            #expect(reply.completion.finishReason == .length)
            // Nothing is said twice.
            #expect(outcome.streamed[serial] == reply.completion.tokenIDs)
        }
    }

    /// Of requests that take equally long the first to come is the first to go: nobody yields to a younger one.
    @Test func theOldestNeverMakesRoom() throws {
        let alike = (0..<5).map { number in
            EngineRequest.Work.generate(
                GenerationRequest(prompt: [5, 6, number], maximumTokens: .max, ignoresEOS: true))
        }
        let outcome = try Self.run(alike, on: Model(), blocks: 6)
        #expect(outcome.order == [0, 1, 2, 3, 4] && outcome.preemptions > 0)
    }

    /// Who is short need not wait for those who made room.
    @Test func whoFitsIntoWhatIsLeftOvertakes() throws {
        let short = EngineRequest.Work.generate(
            GenerationRequest(prompt: [7, 8, 9], maximumTokens: 5, ignoresEOS: true))
        let outcome = try Self.run(Array(Self.open.prefix(3)) + [short], on: Model(), blocks: 5)
        #expect(outcome.order.first == 3 && outcome.order.count == 4)
    }

    @Test func aRequestThatMadeRoomCanBeCancelled() throws {
        var cancelled: Int?
        let model = try Model()
        let outcome = try Self.run(Self.open, on: model, blocks: 5) { batch in
            guard cancelled == nil, let paused = batch.paused.last else { return [] }
            cancelled = paused.request.key.serial
            return batch.cancel { $0 == paused.request.key }
        }
        let serial = try #require(cancelled)
        let reply = try #require(outcome.replies[serial])
        #expect(reply.completion.finishReason == .cancelled)
        #expect(
            try Self.alone(Self.open[serial], on: model).completion.tokenIDs.starts(
                with: reply.completion.tokenIDs))
        #expect(outcome.streamed[serial] ?? [] == reply.completion.tokenIDs)
        #expect(outcome.replies.count == Self.open.count)
    }

    /// Scores have all that they need from the beginning; neither they nor texts wait for each other for ever.
    @Test func scoresAndTextsShareMemory() throws {
        let scores = (0..<3).map { number in
            EngineRequest.Work.score(
                ScoreRequest(prompt: (0..<150).map { ($0 * 5 + number) % 128 }, continuations: nil, top: 0))
        }
        let works = zip(Self.open, scores).flatMap { [$0, $1] }
        let model = try Model()
        let outcome = try Self.run(works, on: model, blocks: 6)
        for (serial, work) in works.enumerated() {
            let (found, expected) = (try #require(outcome.replies[serial]), try Self.alone(work, on: model))
            #expect(found.completion.logprobs == expected.completion.logprobs)
            #expect(found.scores?.lists == expected.scores?.lists)
        }
    }

    /// Through the engine, with an adapter each second time.
    @Test func theEngineLosesNothing() async throws {
        let engine = try TestEngine(adapters: ["dora-qkv"])
        let bytes = 3 * (try engine.blockBytes)
        let small = try TestEngine(adapters: ["dora-qkv"]) { $0.keyValueBytes = bytes }
        let replies = try await withThrowingTaskGroup(of: (Int, EngineReply).self) { group in
            for number in 0..<8 {
                group.addTask {
                    let adapter = number % 2 == 0 ? AdapterChoice.base : .named("dora-qkv", generation: nil)
                    return (
                        number,
                        try await small.generate(
                            [number, 3], adapter: adapter, maximumTokens: .max, connection: number)
                    )
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for number in 0..<8 {
            let expected = try engine.alone(
                [number, 3], adapter: number % 2 == 0 ? nil : "dora-qkv", maximumTokens: .max)
            #expect(replies[number]?.completion.logprobs == expected.logprobs)
        }
        let statistics = await small.statistics()
        #expect(statistics.preemptions > 0 && statistics.running == 0 && statistics.finished == 8)
        #expect(statistics.keptKeyValueBytes == 0)
    }
}

/// Streamed requests, and the tokens of their pieces.
private final class Reports: Sendable {
    private let pieces = Mutex<[Int: [Int]]>([:])

    var tokens: [Int: [Int]] { pieces.withLock { $0 } }

    func request(_ serial: Int, _ work: EngineRequest.Work) -> EngineRequest {
        EngineRequest(
            key: RequestKey(connection: 0, serial: serial), adapter: .base, work: work, streams: true
        ) { [self] event in
            guard case .piece(_, let ids, _) = event else { return }
            pieces.withLock { $0[serial, default: []] += ids }
        }
    }
}
