import DoraLoader
import DoraTensor
import Testing

@testable import DoraRuntime

/// One of several texts as the answer: what greedy decoding gives among the tokens that lead to one of them.
@Suite struct ChoiceTests {
    private static let eosID = 2
    /// Some begin alike, and some are the beginning of others.
    private static func choices(_ random: inout SeededGenerator) -> [[Int]] {
        var choices: [[Int]] = []
        while choices.count < 12 {
            let beginning = (choices.randomElement(using: &random) ?? []).prefix(
                Int.random(in: 0...3, using: &random))
            let rest = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                Int.random(in: 3..<8, using: &random)
            }
            if !choices.contains(beginning + rest) { choices.append(beginning + rest) }
        }
        return choices.shuffled(using: &random)
    }

    private static func generator(
        _ model: TestModel, keyValues: KeyValueFormat = .f16, chunk: Int = 256
    ) throws -> Generator {
        try Generator(
            model.base.configuration, weights: model.weights, eosIDs: [eosID], tokenizer: nil,
            keyValues: keyValues, chunk: chunk, on: model.compute)
    }

    /// The log probabilities of all tokens behind some, each text scored by itself.
    private static func next(_ generator: Generator, _ tokens: [Int]) throws -> [Int: Double] {
        let scores = try generator.score(ScoreRequest(prompt: tokens + [0], top: 128)).lists[0]
        let top = try #require(scores.last).top
        return Dictionary(uniqueKeysWithValues: top.map { ($0.id, $0.logprob) })
    }

    /// By brute force: token by token, whatever can still become a choice.
    private static func reference(_ generator: Generator, _ prompt: [Int], _ choices: [[Int]]) throws -> Int {
        var made: [Int] = []
        while true {
            let open = choices.filter { $0.starts(with: made) }
            if open == [made], let index = choices.firstIndex(of: made) { return index }
            let next = try next(generator, prompt + made)
            let allowed = open.map { $0.count > made.count ? $0[made.count] : eosID }
            let best = try #require(allowed.max { next[$0, default: 0] < next[$1, default: 0] })
            if best == eosID, let index = choices.firstIndex(of: made) { return index }
            made.append(best)
        }
    }

    @Test(arguments: ["gqa-f32", "gqa-f32--dora-qkv", "int8--dora-qkv-int8", "head-dim"])
    func theAnswerIsTheOneThatBruteForceFinds(name: String) throws {
        let golden = try GoldenCase.load(name)
        let model = try TestModel(golden, storage: StorageOptions(weights: .f32, merged: .f32), threads: 2)
        let whole = try Self.generator(model, keyValues: .f32)
        let pieces = try Self.generator(model, keyValues: .f32, chunk: 3)
        var random = SeededGenerator(seed: 5)
        var endings = 0
        for round in 0..<12 {
            let prompt = (0..<(round * 9 % 70 + 1)).map { _ in Int.random(in: 0..<128, using: &random) }
            let choices = Self.choices(&random)
            let expected = try Self.reference(whole, prompt, choices)
            if choices.contains(where: { $0 != choices[expected] && $0.starts(with: choices[expected]) }) {
                endings += 1
            }
            let texts = choices.map { "\($0)" }
            let scores = try choices.map { choice in
                let scored = try whole.score(ScoreRequest(prompt: prompt + choice, top: 2)).lists[0]
                return Array(scored.suffix(choice.count))
            }
            for logprobs in [nil, 2] {
                let request = GenerationRequest(
                    prompt: prompt, choices: Choices(choices, texts: texts), logprobs: logprobs)
                for generator in [whole, pieces] {
                    var shown = ""
                    let found = try generator.generate(request) { _, text in
                        shown += text
                        return true
                    }
                    #expect(found.choice?.index == expected && found.tokenIDs == choices[expected])
                    #expect(found.text == texts[expected] && shown == texts[expected])
                    #expect(found.finishReason == .stop)
                    #expect(found.choice?.scores?.lists == (logprobs == nil ? nil : scores))
                    #expect(found.logprobs == (logprobs == nil ? [] : scores[expected]))
                }
            }
        }
        // A choice that others begin with wins at times.
        #expect(endings > 0)
    }

    /// What PEFT's model says by itself, it says when it may choose.
    @Test(arguments: Fixtures.cases.filter { $0.contains("--dora") })
    func whatPEFTGeneratesIsChosenAmongOthers(name: String) throws {
        let golden = try GoldenCase.load(name)
        let model = try TestModel(golden, storage: StorageOptions(weights: .f32, merged: .f32))
        for prompt in golden.prompts {
            let answer = Array(prompt.greedy_ids.prefix(4))
            var choices = (1..<4).map { step in
                Array(answer.prefix(step)) + [(answer[step] + 1) % 100, 5]
            }
            choices.insert(answer, at: 2)
            let request = GenerationRequest(
                prompt: prompt.prompt_ids, choices: Choices(choices, texts: []), logprobs: 0)
            let found = try model.generator.generate(request)
            #expect(found.tokenIDs == answer && found.choice?.index == 2)
            for (found, expected) in zip(found.logprobs, prompt.greedy_logprobs) {
                #expect(abs(found.logprob - expected) <= golden.tolerance)
            }
        }
    }

    @Test func ofEquallyLikelyOnesTheFirstGivenIsTaken() throws {
        for (tokens, expected) in [
            ([[5], [4], [3]], [5]), ([[3], [5], [4]], [3]), ([[5, 1], [4], [5]], [5, 1]),
            ([[5], [5, 1]], [5]),
        ] {
            var walk = ChoiceWalk(Choices(tokens, texts: []), ends: [2, 9000])
            while walk.answer == nil {
                _ = try [Float](repeating: 1, count: 128).withUnsafeBufferPointer { try walk.advance(by: $0) }
            }
            #expect(walk.answer.map { tokens[$0] } == expected)
        }
    }

    /// Every beginning is computed once, whatever shares it.
    @Test func everyBeginningIsComputedOnce() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<200 {
            let sequences = Self.choices(&random) + [[3], [3]]
            let trie = TokenTrie(sequences)
            var found: [[Int]] = []
            for runs in trie.runs {
                var held: [Int] = []
                for run in runs {
                    #expect(run.tokens.lowerBound <= held.count)
                    held = Array(held.prefix(run.tokens.lowerBound))
                    for depth in run.tokens {
                        held.append(trie.sequence(at: run.place)[depth])
                        found.append(held)
                    }
                    #expect(trie.sequence(at: run.place).starts(with: held))
                }
            }
            let expected = Set(
                sequences.flatMap { tokens in (1..<tokens.count).map { Array(tokens.prefix($0)) } })
            #expect(found.count == expected.count && Set(found) == expected)
        }
    }

    @Test func whatCannotBeChosenIsRefused() throws {
        let model = try TestModel(GoldenCase.load("gqa-f32"), storage: StorageOptions())
        let (withEnd, most) = (try Self.generator(model), model.generator.context)
        func problem(_ choices: [[Int]], _ generator: Generator, prompt: [Int] = [1]) -> RuntimeError? {
            do {
                _ = try generator.generate(
                    GenerationRequest(prompt: prompt, choices: Choices(choices, texts: [])))
                return nil
            } catch { return error as? RuntimeError }
        }
        #expect(problem([[1], []], withEnd) == .emptyChoice(1))
        #expect(problem([[1], [2], [1]], withEnd) == .equalChoices(0, 2))
        #expect(problem([[1], [128]], withEnd) == .choiceOutOfRange(1, id: 128, vocabularySize: 128))
        #expect(problem([[1, 2], [1]], withEnd) == nil)
        #expect(problem([[1, 2], [1]], model.generator) == .endlessChoice(1, 0))
        #expect(problem([[1]], withEnd, prompt: []) == .emptyPrompt)
        let long = [Int](repeating: 1, count: most)
        #expect(
            problem([[1]], withEnd, prompt: long) == .choiceTooLong(0, tokens: most + 1, context: most))
        #expect(problem([[1], [3]], withEnd, prompt: Array(long.dropLast())) == nil)
    }
}

/// Choices from an engine: a place in the batch like any other.
@Suite struct EngineChoiceTests {
    private static let names = ["dora-qkv", "dora-embed-head", "dora-all-linear"]

    private static func choices(_ seed: Int) -> Choices {
        Choices((0..<(2 + seed % 9)).map { [3 + $0 / 3, ($0 * 7 + seed) % 100, 100 + $0, 5] }, texts: [])
    }

    @Test func choicesAmongOtherRequestsAreThoseOfEachAlone() async throws {
        let engine = try TestEngine(adapters: Self.names) { $0.maximumSequences = 5 }
        let asked = (0..<48).map { index in
            let prompt =
                [Int](repeating: 1 + index % 2, count: 70) + (0..<(index % 13)).map { $0 * 5 + index }
            return (
                adapter: ([nil] + Self.names.map(Optional.some))[index % 4],
                request: GenerationRequest(
                    prompt: prompt, choices: Self.choices(index), logprobs: index % 3 == 0 ? nil : 2)
            )
        }
        let replies = try await withThrowingTaskGroup(of: (Int, EngineReply).self) { group in
            for (index, item) in asked.enumerated() {
                group.addTask {
                    let adapter: AdapterChoice = item.adapter.map { .named($0, generation: nil) } ?? .base
                    _ = try await engine.generate(
                        item.request.prompt, adapter: adapter, maximumTokens: 3, connection: index % 7)
                    return (
                        index,
                        try await engine.generate(item.request, adapter: adapter, connection: index % 7)
                    )
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (index, item) in asked.enumerated() {
            let reply = try #require(replies[index])
            let alone = try engine.alone(item.request, adapter: item.adapter)
            #expect(reply.adapter?.name == item.adapter && reply.cachedTokens > 0)
            #expect(reply.completion.tokenIDs == alone.tokenIDs && alone.tokenIDs.count == 4)
            #expect(reply.completion.choice?.index == alone.choice?.index)
            #expect(reply.completion.logprobs == alone.logprobs)
            #expect(reply.completion.choice?.scores == alone.choice?.scores)
        }
        #expect(Set(replies.values.compactMap(\.completion.choice?.index)).count > 2)
    }

    /// However little memory there is, the branches only take turns.
    @Test func littleMemoryLeavesTheBitsAlone() async throws {
        let request = GenerationRequest(
            prompt: (0..<70).map { $0 % 100 }, choices: Self.choices(8), logprobs: 1)
        let block = try TestEngine(adapters: []).blockBytes
        for blocks in [3, 9] {
            let engine = try TestEngine(adapters: []) { $0.keyValueBytes = blocks * block }
            let reply = try await engine.generate(request, adapter: .base)
            let alone = try engine.alone(request, adapter: nil)
            #expect(reply.completion.choice?.scores == alone.choice?.scores)
            #expect(reply.completion.choice?.index == alone.choice?.index)
        }
        let engine = try TestEngine(adapters: []) { $0.keyValueBytes = 2 * block }
        // Without log probabilities, a choice needs no branches.
        let plain = GenerationRequest(prompt: request.prompt, choices: Self.choices(8))
        #expect(try await engine.generate(plain, adapter: .base).completion.tokenIDs.count == 4)
        await #expect {
            try await engine.generate(request, adapter: .base)
        } throws: {
            ($0 as? EngineError)?.code == "too_long" && ($0 as? EngineError)?.param == "choices"
        }
    }

    @Test(arguments: [nil, 0]) func aChoiceThatIsCancelledLeavesNothing(logprobs: Int?) throws {
        let compute = try Compute(threads: 2)
        let base = try BaseModel(folder: Fixtures.path("bases/gqa-f32"), on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: .f16, chunk: 4, on: compute)
        var batch = Batch(
            pass: pass, context: 128, maximumSequences: 2, bytes: 100 * pass.geometry.blockBytes)
        let work = EngineRequest.Work.generate(
            GenerationRequest(prompt: [1, 2, 3, 4, 5, 6], choices: Self.choices(8), logprobs: logprobs))
        let request = EngineRequest(
            key: RequestKey(connection: 0, serial: 0), adapter: .base, work: work, streams: true,
            report: { event in if case .piece = event { Issue.record("a piece of no answer") } })
        let waiting = EngineLoop.Waiting(request: request, adapter: nil, arrival: .now)
        let isIn = batch.admit(
            waiting, work, by: ServedModel(weights: base.weights, language: Language(of: base)))
        #expect(isIn)
        let early = batch.step()
        #expect(early.isEmpty)
        let cancelled = batch.cancel { _ in true }
        guard case .finished(let reply) = try #require(cancelled.first).outcome else {
            Issue.record("\(cancelled)")
            return
        }
        #expect(reply.completion.finishReason == .cancelled && reply.completion.choice == nil)
        #expect(batch.isEmpty && batch.keptBytes == 0)
    }
}
