import DoraLoader
import DoraTensor
import DoraText
import FoundationEssentials
import Testing

@testable import DoraRuntime

/// Guessed tokens change how many steps a text takes, and nothing of the text.
@Suite struct SpeculationTests {
    private let compute: Compute
    private let pass: ForwardPass
    private let model: ServedModel

    init() throws {
        compute = try Compute(threads: 2)
        let base = try BaseModel(folder: Fixtures.path("bases/gqa-f32"), on: compute)
        pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        model = ServedModel(weights: base.weights, language: Language(of: base))
    }

    private struct Outcome {
        var replies: [Int: Completion] = [:]
        var steps = 0
        var guessed = 0
        var accepted = 0
    }

    /// - Parameter known: texts that earlier requests with these prompts were answered with.
    private func run(
        _ requests: [GenerationRequest], guesses: Int, on pass: ForwardPass? = nil,
        _ model: ServedModel? = nil,
        known: [Int: [Int]] = [:], bytes: Int = 1 << 28
    ) throws -> Outcome {
        let (pass, model) = (pass ?? self.pass, model ?? self.model)
        var batch = Batch(pass: pass, context: 256, maximumSequences: 16, bytes: bytes, guesses: guesses)
        for (index, text) in known {
            batch.speculation.remember(prompt: requests[index].prompt, text: text, of: nil)
        }
        for (serial, request) in requests.enumerated() {
            let work = EngineRequest.Work.generate(request)
            let waiting = EngineLoop.Waiting(
                request: EngineRequest(
                    key: RequestKey(connection: 0, serial: serial), adapter: .base, work: work,
                    streams: false,
                    report: { _ in }), adapter: nil, arrival: .now)
            let isIn = batch.admit(waiting, work, by: model)
            try #require(isIn)
        }
        var outcome = Outcome()
        while !batch.isEmpty {
            outcome.steps += 1
            // What is guessed follows from the texts here, not from how busy the machine is.
            batch.speculation.price = StepPrice()
            for ended in batch.step() {
                guard case .finished(let reply) = ended.outcome else { continue }
                outcome.replies[ended.request.key.serial] = reply.completion
            }
            try #require(outcome.steps < 5000)
        }
        (outcome.guessed, outcome.accepted) = (batch.speculation.guessed, batch.speculation.accepted)
        return outcome
    }

    private func expectEqual(_ found: Outcome, _ expected: Outcome) {
        #expect(found.replies.count == expected.replies.count)
        for (serial, completion) in expected.replies {
            #expect(found.replies[serial]?.tokenIDs == completion.tokenIDs, "\(serial)")
            #expect(found.replies[serial]?.logprobs == completion.logprobs, "\(serial)")
            #expect(found.replies[serial]?.finishReason == completion.finishReason, "\(serial)")
        }
    }

    private static let requests = (0..<6).map { number in
        GenerationRequest(
            prompt: (0..<(5 + 13 * number)).map { 3 + ($0 * $0 + number) % 41 },
            maximumTokens: 20 + 25 * number,
            ignoresEOS: true, logprobs: 2)
    }

    /// Guesses from earlier answers, all right, and others that are wrong from some token on.
    @Test(arguments: [1, 3, 15, 64]) func textsAreThoseOfPlainDecoding(guesses: Int) throws {
        let plain = try run(Self.requests, guesses: 0)
        let texts = plain.replies.mapValues(\.tokenIDs)
        let right = try run(Self.requests, guesses: guesses, known: texts)
        expectEqual(right, plain)
        #expect(right.accepted > 0 && right.accepted <= right.guessed)
        #expect(right.replies.values.reduce(0) { $0 + $1.acceptedTokens } == right.accepted)
        if guesses > 3 { #expect(right.steps * 2 < plain.steps) }
        let wrong = texts.mapValues { text in
            text.enumerated().map { $0 % 7 == 6 ? 3 + ($1 + 1) % 41 : $1 }
        }
        let misled = try run(Self.requests, guesses: guesses, known: wrong)
        expectEqual(misled, plain)
        #expect(misled.accepted < misled.guessed)
    }

    /// A text ends where it would end, also in the midst of guesses that are right.
    @Test func anEndWithinAGuessEndsTheText() throws {
        let plain = try run([Self.requests[5]], guesses: 0)
        let text = try #require(plain.replies[0]).tokenIDs
        for end in 1..<40 {
            var limited = Self.requests[5]
            limited.maximumTokens = end
            var stopped = Self.requests[5]
            stopped.stopIDs = [text[end]]
            for request in [limited, stopped] {
                let expected = try run([request], guesses: 0)
                expectEqual(try run([request], guesses: 15, known: [0: text]), expected)
            }
        }
    }

    /// So does a stop string, wherever in the guess it comes up.
    @Test func aStopStringWithinAGuessEndsTheText() throws {
        let models = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "models")
        let demo = try LoadedModel(ModelSettings(model: models.appending(path: "base").path, threads: 2))
        let tokenizer = try #require(demo.tokenizer)
        let pass = try ForwardPass(demo.configuration, keyValues: .f16, on: compute)
        let model = ServedModel(weights: demo.weights, language: demo.language)
        let request = GenerationRequest(
            prompt: tokenizer.encode("The company said that", addingSpecialTokens: true), maximumTokens: 50,
            ignoresEOS: true, logprobs: 1)
        let plain = try #require(try run([request], guesses: 0, on: pass, model).replies[0])
        let text = Array(plain.text ?? "")
        try #require(text.count > 60)
        var (cut, accepted) = (0, 0)
        for start in stride(from: 0, to: text.count - 4, by: 5) {
            var stopped = request
            stopped.stops = [String(text[start..<start + 4])]
            let expected = try run([stopped], guesses: 0, on: pass, model)
            let found = try run([stopped], guesses: 15, on: pass, model, known: [0: plain.tokenIDs])
            expectEqual(found, expected)
            #expect(found.replies[0]?.text == expected.replies[0]?.text)
            #expect(found.replies[0]?.stopString == stopped.stops[0])
            cut += plain.tokenIDs.count - (found.replies[0]?.tokenIDs.count ?? 0)
            accepted += found.accepted
        }
        #expect(cut > 0 && accepted > 0)
    }

    /// What a window has left is gone when a guess turns out wrong; what the next token sees is not.
    @Test(arguments: ["mistral", "gemma2", "gemma3_text"]) func guessesAreTakenBackFromWindows(
        family: String
    ) throws {
        let folder = try WindowedModel(family)
        let base = try BaseModel(folder: folder.folder, on: compute)
        let pass = try ForwardPass(base.configuration, keyValues: .f16, on: compute)
        let model = ServedModel(weights: base.weights, language: Language(of: base))
        let plain = try run(Self.requests, guesses: 0, on: pass, model)
        let known = plain.replies.mapValues { text in
            text.tokenIDs.enumerated().map { $0 % 11 == 10 ? 3 + ($1 + 1) % 41 : $1 }
        }
        let guessed = try run(Self.requests, guesses: 15, on: pass, model, known: known)
        expectEqual(guessed, plain)
        #expect(guessed.accepted > 0 && guessed.accepted < guessed.guessed)
    }

    /// Guesses take no memory from anybody: not even where there is hardly any.
    @Test func guessesNeedNoMemory() throws {
        let request = [Self.requests[5]]
        let plain = try run(request, guesses: 0)
        let known = plain.replies.mapValues(\.tokenIDs)
        let bytes = 4 * pass.geometry.blockBytes
        let tight = try run(request, guesses: 15, known: known, bytes: bytes)
        expectEqual(tight, plain)
        #expect(tight.accepted > 0)
    }

    /// What one adapter said is no guess for another, nor for the same name's next generation.
    @Test func textsOfOthersAreNoGuesses() {
        var speculation = Speculation(limit: 15)
        let own = AdapterIdentity(name: "a", generation: 1)
        let text = [7, 8, 9, 10, 11]
        speculation.remember(prompt: [1, 2, 3], text: text, of: own)
        #expect(guesses(of: own, after: [1, 2, 3], by: speculation) > 0)
        for other in [
            nil, AdapterIdentity(name: "b", generation: 1), AdapterIdentity(name: "a", generation: 2),
        ] {
            #expect(guesses(of: other, after: [1, 2, 3], by: speculation) == 0)
        }
        speculation.forget(own)
        #expect(guesses(of: own, after: [1, 2, 3], by: speculation) == 0)
    }

    private func guesses(
        of adapter: AdapterIdentity?, after prompt: [Int], by speculation: Speculation
    ) -> Int {
        let request = GenerationRequest(prompt: prompt, maximumTokens: 30)
        var sequence = request.running(
            on: pass.configuration, weights: model.weights, state: SequenceState(pass.geometry),
            limits: RunningSequence.Limits(context: 256, eosIDs: []), tokenizer: nil, width: { _ in 1 })
        guard
            let proposal = speculation.proposal(of: &sequence, by: adapter, own: Likelihood(), atMost: 15)
        else { return 0 }
        return speculation.counts(of: [proposal], making: 1, beside: 0, room: 15)[0]
    }

    @Test func theLongestLikenessWins() {
        var history = TokenHistory()
        history.append([1, 2, 3, 4, 5, 9, 2, 3, 4, 6, 0, 2, 3, 4])
        #expect(history.match(after: [1, 2, 3, 4], atMost: 3, isOwn: true)?.tokens == [5, 9, 2])
        #expect(history.match(after: [9, 2, 3, 4], atMost: 2, isOwn: true)?.tokens == [6, 0])
        #expect(history.match(after: [2, 3, 4], atMost: 2, isOwn: true)?.tokens == [6, 0])
        #expect(history.match(after: [2, 3], atMost: 2, isOwn: true) == nil)
        #expect(history.match(after: [3, 3, 3], atMost: 2, isOwn: true) == nil)
    }

    /// What goes round goes on going round; other texts end.
    @Test func aTextThatRepeatsItselfGoesOnSo() {
        var history = TokenHistory()
        history.append([5, 1, 2, 3, 1, 2, 3])
        #expect(
            history.match(after: history.recent, atMost: 7, isOwn: true)?.tokens == [1, 2, 3, 1, 2, 3, 1])
        var texts = TokenHistory()
        texts.add(text: [1, 2, 3, 4])
        texts.add(text: [7, 8])
        #expect(texts.match(after: [1, 2, 3], atMost: 9, isOwn: false)?.tokens == [4])
        #expect(texts.match(after: [3, 4, 7], atMost: 9, isOwn: false) == nil)
        // An end that is more like it says nothing, where another goes on.
        texts.add(text: [9, 2, 3, 4, 5])
        #expect(texts.match(after: [1, 2, 3, 4], atMost: 9, isOwn: false)?.tokens == [5])
    }

    @Test func aHistoryIsBounded() {
        var history = TokenHistory(limit: 100)
        for text in 0..<50 { history.add(text: [text, text, text, 60 + text]) }
        #expect(history.match(after: [0, 0, 0], atMost: 1, isOwn: false) == nil)
        #expect(history.match(after: [49, 49, 49], atMost: 1, isOwn: false)?.tokens == [109])
    }

    /// On a machine that other work shares a step now and then takes many times as long.
    @Test func oneLongStepDoesNotEndGuessing() {
        var price = StepPrice()
        for _ in 0..<50 { price.record(rows: 1, seconds: 1) }
        price.record(rows: 9, seconds: 4)
        #expect(price.ofRow(besides: 1) < 0.5)
        for _ in 0..<8 { price.record(rows: 9, seconds: 1.2) }
        #expect(price.ofRow(besides: 1) < 0.1)
        for _ in 0..<50 { price.record(rows: 1, seconds: 0.9) }
        price.record(rows: 9, seconds: 50)
        #expect(price.ofRow(besides: 1) < 0.15)
    }

    /// A step waits for the weights as long with four rows as with one; from there on rows cost arithmetic.
    @Test func rowsAreCheapOnlyWhereFewAre() {
        var price = StepPrice()
        for rows in [1, 2, 4, 8, 16, 32] {
            for _ in 0..<10 { price.record(rows: rows, seconds: rows <= 4 ? 5 : 5 + Double(rows - 4)) }
        }
        #expect(price.ofRow(besides: 1) < 0.3 && price.ofRow(besides: 8) > 0.7)
    }

    /// The steps of prompts, whose rows all cost their arithmetic, say nothing of a few rows more.
    @Test func promptsDoNotMakeGuessesDear() {
        var price = StepPrice()
        for _ in 0..<20 {
            price.record(rows: 4, seconds: 1)
            price.record(rows: 8, seconds: 1.15)
            price.record(rows: 264, seconds: 20)
        }
        #expect(price.ofRow(besides: 4) < 0.2)
    }

    /// A step takes twelve rows as fast as nine, which shows only where some are tried.
    @Test func aFewRowsMoreAreTriedThoughManyMoreAreDear() {
        var price = StepPrice()
        for _ in 0..<20 {
            price.record(rows: 1, seconds: 31)
            price.record(rows: 4, seconds: 33)
            price.record(rows: 8, seconds: 38)
            price.record(rows: 16, seconds: 62)
        }
        #expect(price.ofRow(besides: 8) < 0.3 && price.ofRow(besides: 12) > 0.8)
        for _ in 0..<20 { price.record(rows: 12, seconds: 50) }
        #expect(price.ofRow(besides: 8) > 0.5)
    }

    /// While a program is new its memory is, too, and steps of many rows are slow: they may be the ones that pay later.
    @Test func whatWasDearOnceIsTriedAgain() {
        var price = StepPrice()
        for _ in 0..<20 {
            price.record(rows: 8, seconds: 38)
            price.record(rows: 12, seconds: 44)
        }
        for _ in 0..<20 { price.record(rows: 20, seconds: 150) }
        #expect(price.curve.growth(of: 12, by: 8, making: 8) > 1)
        for _ in 0..<5000 { price.record(rows: 12, seconds: 44) }
        #expect(price.curve.growth(of: 12, by: 8, making: 8) < 0.6)
        // The first step then says more than all that are forgotten.
        price.record(rows: 20, seconds: 60)
        #expect(price.curve.growth(of: 12, by: 8, making: 8) < 0.45)
    }

    /// What fewer rows took is forgotten while only more run, and must not make those dearer than they are.
    @Test func stepsThatNoLongerComeDoNotMakeOthersDear() {
        var price = StepPrice()
        let steps = [1: 31, 2: 31.3, 4: 32, 6: 33, 8: 34, 12: 35, 16: 45.0]
        for (rows, seconds) in steps { for _ in 0..<20 { price.record(rows: rows, seconds: seconds) } }
        for _ in 0..<5000 { for rows in [8, 12] { price.record(rows: rows, seconds: steps[rows] ?? 0) } }
        #expect(price.curve.growth(of: 8, by: 4, making: 8) < 0.1)
    }

    /// A few rows that are dear say little of sixteen, which the kernels take in one pass: those are expected to cost no more
    /// than is assumed, whatever the slope before them.
    @Test func manyRowsAreTriedThoughFewAreDear() {
        var price = StepPrice()
        for (rows, seconds) in [1: 4, 2: 6.0] {
            for _ in 0..<20 { price.record(rows: rows, seconds: seconds) }
        }
        price.record(rows: 16, seconds: 12)
        #expect((1.5...2.5).contains(price.curve.growth(of: 1, by: 15, making: 1)))
    }

    /// Beside one sequence that decodes fewer tokens of a prompt are taken in than beside eight, which wait longer anyway.
    @Test func promptsTakeInWhatOthersCanWaitFor() {
        var price = StepPrice()
        for rows in [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96] {
            for _ in 0..<20 { price.record(rows: rows, seconds: 10 + Double(rows)) }
        }
        let curve = price.curve
        #expect((18...22).contains(curve.rows(addedTo: 1, within: 3, atMost: 64)))
        #expect((32...36).contains(curve.rows(addedTo: 8, within: 3, atMost: 64)))
        #expect(curve.rows(addedTo: 8, within: 3, atMost: 20) == 20)
        #expect(curve.rows(addedTo: 8, within: 1, atMost: 64) == 0)
        #expect(StepPrice().curve.rows(addedTo: 8, within: 3, atMost: 64) == 64)
    }

    /// What a step takes in beside a sequence that decodes follows from what its rows cost.
    @Test(arguments: [(0.001, 66), (1, 8)])
    func aStepTakesInWhatOthersCanWaitFor(row: Double, room: Int) throws {
        var batch = Batch(pass: pass, context: 256, maximumSequences: 16, bytes: 1 << 28, guesses: 0)
        for (serial, length) in [4, 200].enumerated() {
            let work = EngineRequest.Work.generate(
                GenerationRequest(
                    prompt: Array(repeating: 5, count: length), maximumTokens: 9, ignoresEOS: true))
            let waiting = EngineLoop.Waiting(
                request: EngineRequest(
                    key: RequestKey(connection: 0, serial: serial), adapter: .base, work: work,
                    streams: false, report: { _ in }), adapter: nil, arrival: .now)
            let isIn = batch.admit(waiting, work, by: model)
            try #require(isIn)
            if serial == 0 { _ = batch.step() }
        }
        batch.price = StepPrice()
        for rows in [1, 2, 4, 8, 16, 32, 64, 128] {
            for _ in 0..<50 { batch.price.record(rows: rows, seconds: 1 + row * Double(rows)) }
        }
        #expect(batch.shares().map(\.count) == [1, room])
    }

    /// Where a row is nearly free many are guessed, where it costs as much as a token only what is all but sure.
    @Test func guessesMustPay() {
        var cheap = Speculation(limit: 15)
        var dear = Speculation(limit: 15)
        for count in 1...64 {
            cheap.record(rows: 1 + count % 16, seconds: 1 + 0.01 * Double(count % 16))
            dear.record(rows: 1 + count % 4, seconds: 1 + Double(count % 4))
        }
        #expect(cheap.price.ofRow(besides: 1) < 0.05 && dear.price.ofRow(besides: 8) > 0.9)
        let guess = Guess(tokens: Array(0..<15), isOwn: true)
        func count(_ likelihood: Double, by speculation: Speculation, making: Int) -> Int {
            let proposal = Proposal(guess: guess, likelihood: likelihood)
            return speculation.counts(of: [proposal], making: making, beside: 0, room: 99)[0]
        }
        #expect(count(0.99, by: cheap, making: 1) >= 12 && count(0.9, by: dear, making: 8) == 0)
        #expect(count(0.01, by: Speculation(limit: 15), making: 1) == 0)
    }

    /// A pass takes twelve rows as fast as nine.
    @Test func whereOneGuessDoesNotPayFourMay() {
        var speculation = Speculation(limit: 15)
        for _ in 0..<50 {
            speculation.record(rows: 8, seconds: 38)
            speculation.record(rows: 10, seconds: 45)
            speculation.record(rows: 16, seconds: 62)
        }
        let proposal = Proposal(guess: Guess(tokens: [1], isOwn: true), likelihood: 0.7)
        func counts(_ proposals: Int) -> [Int] {
            speculation.counts(
                of: Array(repeating: proposal, count: proposals), making: 8, beside: 0, room: 99)
        }
        #expect(counts(1) == [0])
        #expect(counts(4) == [1, 1, 1, 1])
    }

    /// What is likely in one sequence goes before the second token of another, up to the rows where they get dear.
    @Test func theLikeliestGuessesAreMade() {
        var speculation = Speculation(limit: 15)
        for rows in [4, 6, 8, 12, 16] {
            for _ in 0..<10 { speculation.record(rows: rows, seconds: rows <= 8 ? 1 : Double(rows) / 8) }
        }
        func proposal(_ likelihood: Double, _ count: Int = 15) -> Proposal {
            Proposal(guess: Guess(tokens: Array(0..<count), isOwn: true), likelihood: likelihood)
        }
        func counts(_ proposals: Proposal..., room: Int = 99) -> [Int] {
            speculation.counts(of: proposals, making: 4, beside: 0, room: room)
        }
        #expect(counts(proposal(0.6), proposal(0.6), proposal(0.6), proposal(0.6)) == [1, 1, 1, 1])
        #expect(counts(proposal(0.7), proposal(0.9)) == [1, 3])
        #expect(counts(proposal(0.5), proposal(0.9, 1)) == [3, 1])
        #expect(counts(proposal(0.5), proposal(0.9), room: 2) == [0, 2])
    }
}

extension StepPrice {
    /// Each of four rows, in tokens of a step that makes so many.
    fileprivate func ofRow(besides count: Int) -> Double {
        curve.growth(of: count, by: 4, making: count) * Double(count) / 4
    }
}
