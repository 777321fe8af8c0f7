import DoraLoader
import DoraTensor
import DoraText

/// The sequences that are computed together, whatever their adapters, and the memory of their keys and values.
struct Batch {
    /// A request that has left the batch, with its last event.
    struct Ended {
        let request: EngineRequest
        let adapter: AdapterIdentity?
        let arrival: ContinuousClock.Instant
        let outcome: EngineEvent
    }

    struct Running {
        let request: EngineRequest
        let adapter: AdapterIdentity?
        let prompt: [Int]
        let language: Language
        var sequence: any RunningRequest
        let arrival: ContinuousClock.Instant
        let queueTime: Duration
        let mergeTime: Duration
        /// How much of the prompt may come from others.
        let reusableTokens: Int
        var cachedTokens: Int
        /// When the last token was made.
        var lastToken: ContinuousClock.Instant?
        /// Bytes of blocks that were promised to the sequence, and of those that it took and did not share.
        var charged: Int
        /// What it shares with the prefix cache.
        var hold: PrefixCache.Hold
        /// What it takes in all.
        let reservation: StateReservation
        /// By which all its keys are rotated; nil if that is not settled from the beginning.
        let rotation: Int?
        /// Whether it has memory only for the tokens that there are, so that it may have to make room (`Batch+Memory`).
        let grows: Bool
        /// Of the sequences, in the order in which they were taken in.
        let number: Int
        var isPaused = false
        /// Whether it sits a step out, until there is memory for its next token.
        var isWaiting = false
        /// How likely it repeats itself.
        var repeats: Likelihood
        var reportedTokens = 0
        /// Whether all of the prompt was left to those who begin alike.
        var isPromptShared = false
        var failure: EngineError?

        /// Bytes that it takes once its next tokens are computed, beside what it shares.
        var neededBytes: Int {
            reservation.bytes(of: sequence.state.count + sequence.pendingTokens, beginningWith: hold.count)
        }
    }

    let pass: ForwardPass
    /// Positions that a sequence may have.
    let context: Int
    /// Those that it may have as far as memory goes.
    private let positions: Int
    let maximumSequences: Int
    let budget: StateBudget
    var running: [Running] = []
    /// Those that had to make room for older ones; the oldest first.
    var paused: [Running] = []
    /// How many were taken in since one of these went on.
    var overtakers = 0
    /// Whether memory came free since that was tried.
    var hasEnded = false
    var preemptions = 0
    private var admissions = 0
    var prefixes: PrefixCache
    var speculation: Speculation
    /// Of steps in which a sequence decodes, with the prompts beside it.
    var price = StepPrice()
    private(set) var firstTokenSeconds = Histogram()
    private(set) var tokenSeconds = Histogram()

    /// - Parameters:
    ///   - bytes: of what is kept of sequences.
    ///   - guesses: of a sequence in a step, at most.
    init(
        pass: ForwardPass, context: Int, maximumSequences: Int, bytes: Int,
        guesses: Int = Speculation.standardLimit
    ) {
        self.pass = pass
        self.context = context
        self.maximumSequences = maximumSequences
        budget = StateBudget(geometry: pass.geometry, step: pass.chunk, bytes: bytes)
        positions = budget.positions(atMost: context)
        prefixes = PrefixCache(pass.geometry)
        speculation = Speculation(limit: guesses)
    }

    var isEmpty: Bool { running.isEmpty && paused.isEmpty }

    /// Takes a request in, if there is a place and memory for it. Beginnings that nobody uses make room.
    mutating func admit(_ waiting: EngineLoop.Waiting, _ work: EngineRequest.Work, by model: ServedModel)
        -> Bool
    {
        guard running.count < maximumSequences, paused.isEmpty || overtakers < maximumSequences else {
            return false
        }
        let (rotation, reservation) = (rotation(of: work), budget.reservation(work, context: context))
        let reusableTokens = Self.reusableTokens(of: work)
        // The state at once, as what is not pinned may make room.
        let (hold, state) =
            rotation.map {
                prefixes.hold(
                    waiting.adapter, rotation: $0, work.prompt, atMost: reusableTokens,
                    keeps: reservation.keeps)
            } ?? (PrefixCache.Hold(), SequenceState(pass.geometry))
        let grows = rotation != nil && Self.canGrow(work)
        let needed =
            grows
            ? reservation.bytes(of: work.prompt.count + 1, beginningWith: hold.count)
            : reservation.bytes(beginningWith: hold.count)
        // Who comes before others that wait for memory must not make anybody wait for more.
        let most = paused.isEmpty ? needed + slack : reservation.bytes(beginningWith: hold.count)
        guard makeRoom(for: max(needed, most)) else {
            prefixes.release(hold)
            return false
        }
        if !paused.isEmpty { overtakers += 1 }
        admissions += 1
        let waited = ContinuousClock.now - waiting.arrival
        running.append(
            Running(
                request: waiting.request, adapter: waiting.adapter, prompt: work.prompt,
                language: model.language,
                sequence: sequence(of: work, by: model, state: state),
                arrival: waiting.arrival, queueTime: waited - waiting.mergeTime, mergeTime: waiting.mergeTime,
                reusableTokens: reusableTokens, cachedTokens: state.count,
                charged: needed, hold: hold, reservation: reservation, rotation: rotation, grows: grows,
                number: admissions, repeats: speculation.likelihood(of: waiting.adapter)))
        if waiting.request.streams {
            let start = EngineStart(adapter: waiting.adapter, language: model.language, prompt: work.prompt)
            waiting.request.report(.started(start))
        }
        return true
    }

    /// How a request's tokens are rotated throughout; nil where that is not settled from the beginning.
    private func rotation(of work: EngineRequest.Work) -> Int? {
        let lengths =
            switch work {
            case .score(let score): score.lengths
            case .generate(let request):
                [request.prompt.count]
                    + (request.scoredChoices?.lengths ?? [budget.length(request, context: context)])
            }
        return pass.configuration.rotation(ofLengths: lengths)
    }

    private func sequence(
        of work: EngineRequest.Work, by model: ServedModel, state: SequenceState
    ) -> any RunningRequest {
        switch work {
        case .generate(let request):
            request.running(
                on: pass.configuration, weights: model.weights, state: state,
                limits: RunningSequence.Limits(
                    context: positions, eosIDs: Set(model.language.eosIDs),
                    recomputedLength: pass.configuration.recomputedLength),
                tokenizer: model.language.tokenizer, width: { $0.width(in: budget) })
        case .score(let request):
            RunningScore(
                request, on: pass.configuration, weights: model.weights, state: state,
                width: request.width(in: budget))
        }
    }

    /// Takes out the requests that `isMeant` picks; they finish as cancelled.
    mutating func cancel(_ isMeant: (RequestKey) -> Bool) -> [Ended] {
        let waiting = paused.filter { isMeant($0.request.key) }
        paused.removeAll { isMeant($0.request.key) }
        return end(isCancelled: true) { isMeant($0.request.key) } + waiting.map { end($0, isCancelled: true) }
    }

    /// Computes the next tokens of every sequence.
    /// - Returns: the requests that are done.
    mutating func step() -> [Ended] {
        // With all that a step does beside its rows, which guesses save, too.
        let start = ContinuousClock.now
        makeRoomForStep()
        beginFarther()
        // Of which sequence each part is, and which of its parts.
        var places: [(index: Int, part: Int)] = []
        var parts: [StepPart] = []
        let shares = shares()
        let guessing = guess(beside: shares)
        for (index, count) in shares {
            do {
                let own = try running[index].sequence.nextParts(atMost: count, on: pass)
                places += own.indices.map { (index, $0) }
                parts += own
            } catch { running[index].failure = EngineError(error) }
        }
        let decoding = shares.count { running[$0.index].sequence.isDecoding }
        do {
            try pass.step(parts) { part, token, logits in
                accept(logits, running: places[part].index, part: places[part].part, token: token)
            }
        } catch {
            for place in places { running[place.index].failure = EngineError(error) }
        }
        settle(guessing)
        shareComputed()
        let rows = parts.reduce(0) { $0 + $1.tokens.count }
        let seconds = (ContinuousClock.now - start).seconds
        if decoding > 0 { price.record(rows: rows, seconds: seconds) }
        if decoding == shares.count { speculation.record(rows: rows, seconds: seconds) }
        return end(isCancelled: false) { $0.sequence.isFinished || $0.failure != nil }
    }

    /// One after the other: what the others paid for is theirs until they leave it.
    private mutating func end(isCancelled: Bool, _ isMeant: (Running) -> Bool) -> [Ended] {
        var ended: [Ended] = []
        while let index = running.firstIndex(where: isMeant) {
            ended.append(end(running.remove(at: index), isCancelled: isCancelled))
        }
        return ended
    }

    private mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, running index: Int, part: Int, token: Int
    ) {
        guard running[index].failure == nil else { return }
        let before = running[index].sequence.tokenIDs.count
        var text = ""
        do throws(RuntimeError) {
            try running[index].sequence.accept(logits, part: part, token: token) { _, piece in
                text += piece
                return true
            }
        } catch {
            running[index].failure = EngineError(error)
            return
        }
        if running[index].sequence.tokenIDs.count > before { recordToken(index) }
        report(text, of: &running[index])
    }

    private mutating func recordToken(_ index: Int) {
        let now = ContinuousClock.now
        if let last = running[index].lastToken {
            tokenSeconds.add(now - last)
        } else {
            firstTokenSeconds.add(now - running[index].arrival)
        }
        running[index].lastToken = now
    }

    private func report(_ text: String, of running: inout Running) {
        guard running.request.streams, !text.isEmpty || running.language.tokenizer == nil else { return }
        let tokens = running.sequence.tokenIDs.dropFirst(running.reportedTokens)
        if text.isEmpty && tokens.isEmpty { return }
        let logprobs = running.sequence.logprobs.dropFirst(running.reportedTokens)
        running.reportedTokens += tokens.count
        running.request.report(
            .piece(text: text, tokenIDs: Array(tokens), logprobs: Array(logprobs)))
    }

    private mutating func end(_ ended: Running, isCancelled: Bool) -> Ended {
        var ended = ended
        hasEnded = true
        share(&ended, tail: .left, room: budget.bytes - usedBytes - ended.charged)
        prefixes.release(ended.hold)
        if let failure = ended.failure {
            return Ended(
                request: ended.request, adapter: ended.adapter, arrival: ended.arrival,
                outcome: .failed(failure))
        }
        var rest = ""
        var completion = ended.sequence.finish { _, text in
            rest += text
            return true
        }
        if isCancelled { completion.finishReason = .cancelled }
        report(rest, of: &ended)
        speculation.remember(prompt: ended.prompt, text: completion.tokenIDs, of: ended.adapter)
        let reply = EngineReply(
            completion: completion, scores: isCancelled ? nil : ended.sequence.scores, adapter: ended.adapter,
            prompt: ended.prompt, language: ended.language, cachedTokens: ended.cachedTokens,
            queueTime: ended.queueTime, mergeTime: ended.mergeTime)
        return Ended(
            request: ended.request, adapter: ended.adapter, arrival: ended.arrival, outcome: .finished(reply))
    }
}
