import DoraLoader
import DoraTensor
import Testing

@testable import DoraRuntime

/// Sequences of several adapters in one step: each gets the bits that it gets alone.
@Suite struct BatchTests {
    private static let adapters: [String?] = [
        nil, "dora-qkv", "dora-qkv", "dora-embed-head", nil, "dora-save-input-norm", "lora-bias-b",
        "dora-tokens",
        "dora-all-linear", "dora-patterns",
    ]
    private static let storages = [
        StorageOptions(weights: .f32, merged: .f32), StorageOptions(weights: .q8, merged: .q8),
        StorageOptions(weights: .q8, merged: .q4, head: .q4), StorageOptions(weights: .f32, form: .factored),
        StorageOptions(weights: .q8, form: .factored),
    ]

    /// As the options say, or every other adapter merged and the rest factored (with keys and values in int8).
    @Test(arguments: storages, [false, true])
    func aSequenceDoesNotSeeItsNeighbours(storage: StorageOptions, isMixed: Bool) throws {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(folder: Fixtures.path("bases/gqa-f32"), storage: storage, on: compute)
        let models = try Self.adapters.enumerated().map { index, name in
            guard let name else { return base.weights }
            let adapter = try Adapter(
                folder: Fixtures.path("adapters/\(name)"), fitting: base.inventory, baseName: nil)
            return try base.adapted(
                by: adapter, as: isMixed ? (index % 2 == 0 ? .factored : .merged) : nil, on: compute
            ).weights
        }
        let requests = Self.adapters.indices.map { index in
            GenerationRequest(
                prompt: (0..<(3 + index * 9)).map { ($0 * 7 + index) % 128 }, maximumTokens: 4 + index,
                ignoresEOS: true, logprobs: 3)
        }
        let keyValues: KeyValueFormat = isMixed ? .q8 : .f16
        let alone = try zip(models, requests).map { weights, request in
            try Generator(
                base.configuration, weights: weights, eosIDs: [], tokenizer: nil, keyValues: keyValues,
                on: compute
            ).generate(request)
        }

        let pass = try ForwardPass(base.configuration, keyValues: keyValues, on: compute)
        let limits = RunningSequence.Limits(context: base.configuration.maximumPositions, eosIDs: [])
        var running = zip(models, requests).map { weights, request in
            RunningSequence(
                request, weights: weights, state: SequenceState(pass.geometry), limits: limits,
                tokenizer: nil)
        }
        var steps = 0
        while running.contains(where: { !$0.isFinished }) {
            // Some rest in some steps, and the pieces of the prompts differ from step to step.
            let active = running.indices.filter { !running[$0].isFinished && ($0 + steps) % 3 != 0 }
            let parts = try active.map {
                try running[$0].nextPart(atMost: 1 + ($0 * 5 + steps * 3) % 17, in: pass.heap)
            }
            try pass.step(parts) { part, token, logits in
                try running[active[part]].accept(logits, token: token) { _, _ in true }
            }
            steps += 1
        }
        for (index, expected) in alone.enumerated() {
            let found = running[index].finish { _, _ in true }
            #expect(found.tokenIDs == expected.tokenIDs)
            #expect(found.logprobs == expected.logprobs, "sequence \(index)")
        }
    }

    /// Of prompts that need alike, the first is done before the next begins: sharing would make all of them late.
    @Test func equalPromptsAreTakenInOneAfterTheOther() throws {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(folder: Fixtures.path("bases/gqa-f32"), on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        var batch = Batch(
            pass: pass, context: 256, maximumSequences: 3, bytes: 100 * pass.geometry.blockBytes)
        let model = ServedModel(weights: base.weights, language: Language(of: base))
        for serial in 0..<3 {
            let work = EngineRequest.Work.generate(
                GenerationRequest(prompt: (0..<200).map { ($0 * 7 + serial) % 128 }, maximumTokens: 1))
            let request = EngineRequest(
                key: RequestKey(connection: 0, serial: serial), adapter: .base, work: work, streams: false,
                report: { _ in })
            let waiting = EngineLoop.Waiting(request: request, adapter: nil, arrival: .now)
            let isIn = batch.admit(waiting, work, by: model)
            #expect(isIn)
        }
        var ends: [[Int]] = []
        while !batch.isEmpty { ends.append(batch.step().map(\.request.key.serial)) }
        #expect(ends == [[0], [1], [2]])
    }

    /// Blocks of keys and values of an earlier sequence with the same beginning stand for computing them again.
    @Test(arguments: KeyValueFormat.allCases)
    func aSharedBeginningLeavesTheBitsAlone(keyValues: KeyValueFormat) throws {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(folder: Fixtures.path("bases/gqa-f32"), on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: keyValues, on: compute)
        let limits = RunningSequence.Limits(context: base.configuration.maximumPositions, eosIDs: [])
        func run(_ prompt: [Int], beginningWith state: SequenceState) throws -> RunningSequence {
            var sequence = RunningSequence(
                GenerationRequest(prompt: prompt, maximumTokens: 6, ignoresEOS: true, logprobs: 3),
                weights: base.weights, state: state, limits: limits, tokenizer: nil)
            while !sequence.isFinished {
                try pass.step([sequence.nextPart(atMost: 50, in: pass.heap)]) { _, token, logits in
                    try sequence.accept(logits, token: token) { _, _ in true }
                }
            }
            return sequence
        }
        let size = KeyValueGeometry.blockPositions
        let beginning = (0..<size).map { ($0 * 11) % 128 }
        let nothing = SequenceState(pass.geometry)
        let first = try run(beginning + [5, 6, 7], beginningWith: nothing)
        #expect(Array(first.computedTokens.prefix(size)) == beginning)
        let known = SequenceState(
            pass.geometry, beginningWith: size, held: first.state.keyValues.map { Array($0.blocks.prefix(1)) }
        )
        var alone = try run(beginning + [9, 8], beginningWith: nothing)
        var sharing = try run(beginning + [9, 8], beginningWith: known)
        let (expected, found) = (alone.finish { _, _ in true }, sharing.finish { _, _ in true })
        #expect(found.logprobs == expected.logprobs)
        #expect(found.logprobs != (try run(beginning.reversed() + [9, 8], beginningWith: nothing)).logprobs)
    }
}

extension RunningSequence {
    fileprivate var logprobs: [TokenLogprob] {
        var copy = self
        return copy.finish { _, _ in true }.logprobs
    }
}
