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
        let cachedTokens: Int
        /// When the last token was made.
        var lastToken: ContinuousClock.Instant?
        /// Blocks that the sequence may still take, and those that it took and did not share.
        var charged: Int
        /// Blocks shared with the prefix cache.
        var held: [Int]
        /// By which all its keys are rotated; nil if that is not settled from the beginning.
        let rotation: Int?
        /// Whether memory is kept only for the tokens that there are, so that it may have to make room (`Batch+Memory`).
        let grows: Bool
        var isPaused = false
        var reportedTokens = 0
        var failure: EngineError?
    }

    /// Each block is a mapping of its own, and Linux allows a process 65,530.
    private static let mostBlocks = 1 << 15

    let pass: ForwardPass
    /// Positions that a sequence may have.
    let context: Int
    let maximumSequences: Int
    /// Blocks of keys and values that may exist.
    let blockBudget: Int
    var running: [Running] = []
    /// Those that had to make room for older ones; the oldest first.
    var paused: [Running] = []
    var preemptions = 0
    var prefixes = PrefixCache()
    private(set) var firstTokenSeconds = Histogram()
    private(set) var tokenSeconds = Histogram()

    init(pass: ForwardPass, context: Int, maximumSequences: Int, blockBudget: Int) {
        self.pass = pass
        self.context = context
        self.maximumSequences = maximumSequences
        self.blockBudget = min(blockBudget, Self.mostBlocks)
    }

    var count: Int { running.count + paused.count }
    var isEmpty: Bool { running.isEmpty && paused.isEmpty }

    /// Those that a sequence may have as far as memory goes.
    var positions: Int { min(context, blockBudget * KeyValueGeometry.blockPositions) }

    /// Takes a request in, if there is a place and memory for it. Beginnings that nobody uses make room.
    mutating func admit(_ waiting: EngineLoop.Waiting, _ work: EngineRequest.Work, by model: ServedModel)
        -> Bool
    {
        guard paused.isEmpty, running.count < maximumSequences else { return false }
        let rotation = rotation(of: work)
        let held =
            rotation.map {
                prefixes.hold(
                    waiting.adapter, rotation: $0, work.prompt, atMost: Self.reusableTokens(of: work))
            } ?? []
        let grows = rotation != nil && Self.canGrow(work)
        let most = blocks(work)
        let needed = (grows ? min(most, Self.blocks(positions: work.prompt.count + 1)) : most) - held.count
        guard makeRoom(for: needed) else {
            prefixes.release(held)
            return false
        }
        let cache = KeyValueCache(geometry: pass.geometry, beginningWith: prefixes.blocks(held))
        let waited = ContinuousClock.now - waiting.arrival
        running.append(
            Running(
                request: waiting.request, adapter: waiting.adapter, prompt: work.prompt,
                language: model.language,
                sequence: sequence(of: work, by: model, cache: cache),
                arrival: waiting.arrival, queueTime: waited - waiting.mergeTime, mergeTime: waiting.mergeTime,
                cachedTokens: cache.count,
                charged: needed, held: held, rotation: rotation, grows: grows))
        if waiting.request.streams {
            let start = EngineStart(adapter: waiting.adapter, language: model.language, prompt: work.prompt)
            waiting.request.report(.started(start))
        }
        return true
    }

    /// How a request's tokens are rotated throughout; nil where that is not settled from the beginning.
    private func rotation(of work: EngineRequest.Work) -> Int? {
        let lengths: [Int]
        switch work {
        case .score(let score): lengths = [score.length]
        case .generate(let request):
            if let scored = request.scoredChoices { return rotation(of: .score(scored)) }
            let (sum, isHuge) = request.prompt.count.addingReportingOverflow(request.maximumTokens)
            lengths = [request.prompt.count, min(isHuge ? positions : sum, context)]
        }
        let rotations = Set(lengths.map(pass.configuration.rotation))
        return rotations.count == 1 ? rotations.first ?? nil : nil
    }

    /// How much of a prompt's beginning may come from an earlier request: all but the tokens whose logits are wanted.
    private static func reusableTokens(of work: EngineRequest.Work) -> Int {
        switch work {
        case .score(let score) where score.continuations == nil: 0
        case .generate(let request) where request.promptLogprobs != nil: 0
        default: work.prompt.count - 1
        }
    }

    private func sequence(
        of work: EngineRequest.Work, by model: ServedModel, cache: KeyValueCache
    ) -> any RunningRequest {
        switch work {
        case .generate(let request):
            request.running(
                weights: model.weights, cache: cache,
                limits: RunningSequence.Limits(
                    context: positions, eosIDs: Set(model.language.eosIDs),
                    recomputedLength: pass.configuration.recomputedLength),
                tokenizer: model.language.tokenizer, width: { $0.width(blockBudget: blockBudget) })
        case .score(let request):
            RunningScore(
                request, weights: model.weights, cache: cache, width: request.width(blockBudget: blockBudget))
        }
    }

    /// Takes out the requests that `isMeant` picks; they finish as cancelled.
    mutating func cancel(_ isMeant: (RequestKey) -> Bool) -> [Ended] {
        let meant = (running + paused).filter { isMeant($0.request.key) }
        running.removeAll { isMeant($0.request.key) }
        paused.removeAll { isMeant($0.request.key) }
        return meant.map { end($0, isCancelled: true) }
    }

    /// Computes the next tokens of every sequence.
    /// - Returns: the requests that are done.
    mutating func step() -> [Ended] {
        makeRoomForStep()
        // Of which sequence each part is, and which of its parts.
        var places: [(index: Int, part: Int)] = []
        var parts: [StepPart] = []
        for (index, count) in shares() {
            do {
                let own = try running[index].sequence.nextParts(atMost: count, on: pass)
                places += own.indices.map { (index, $0) }
                parts += own
            } catch { running[index].failure = EngineError(error) }
        }
        do {
            try pass.step(parts) { part, token, logits in
                accept(logits, running: places[part].index, part: places[part].part, token: token)
            }
        } catch {
            for place in places { running[place.index].failure = EngineError(error) }
        }
        let done = running.filter { $0.sequence.isFinished || $0.failure != nil }
        running.removeAll { $0.sequence.isFinished || $0.failure != nil }
        return done.map { end($0, isCancelled: false) }
    }

    /// How many tokens each sequence computes in the next step: one where it is decoding; prompts share what a step
    /// holds, which is little while others decode, so that these do not stall.
    private func shares() -> [(index: Int, count: Int)] {
        let active = running.indices.filter { !running[$0].sequence.isFinished }
        let decoding = active.filter { running[$0].sequence.isDecoding }
        let room = decoding.isEmpty ? pass.chunk : max(pass.chunk / 4, maximumSequences)
        let prompts = active.filter { !running[$0].sequence.isDecoding }
        return decoding.map { ($0, 1) } + promptShares(prompts, room: min(room, pass.chunk - decoding.count))
    }

    /// Half for the prompt that came first, so that none starves; the rest goes to those that need least, so that most
    /// wait little.
    private func promptShares(_ prompts: [Int], room: Int) -> [(index: Int, count: Int)] {
        guard let first = prompts.first else { return [] }
        func pending(_ index: Int) -> Int { running[index].sequence.pendingTokens }
        let kept = min(pending(first), (room + 1) / 2)
        var counts = [first: kept]
        var left = room - kept
        // Of equals the first, so that it is done before the next begins.
        for index in prompts.sorted(by: { (pending($0), $0) < (pending($1), $1) }) where left > 0 {
            let count = min(pending(index) - counts[index, default: 0], left)
            if count > 0 { counts[index, default: 0] += count }
            left -= count
        }
        return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, running index: Int, part: Int, token: Int
    ) {
        guard running[index].failure == nil else { return }
        let isFirst = !running[index].sequence.isDecoding
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
        if isFirst && running[index].sequence.isDecoding && running[index].rotation != nil {
            var sequence = running[index]
            share(&sequence)
            running[index] = sequence
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

    /// Leaves the full blocks of a sequence to those who will begin alike.
    mutating func share(_ running: inout Running) {
        guard let rotation = pass.configuration.rotation(ofLength: running.sequence.rotatedLength) else {
            return
        }
        let held = prefixes.add(
            running.adapter, rotation: rotation, running.sequence.computedTokens,
            running.sequence.cache.fullBlocks,
            behind: running.held)
        running.charged -= held.count - running.held.count
        running.held = held
    }

    private mutating func end(_ ended: Running, isCancelled: Bool) -> Ended {
        var ended = ended
        share(&ended)
        prefixes.release(ended.held)
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
        let reply = EngineReply(
            completion: completion, scores: isCancelled ? nil : ended.sequence.scores, adapter: ended.adapter,
            prompt: ended.prompt, language: ended.language, cachedTokens: ended.cachedTokens,
            queueTime: ended.queueTime, mergeTime: ended.mergeTime)
        return Ended(
            request: ended.request, adapter: ended.adapter, arrival: ended.arrival, outcome: .finished(reply))
    }
}
