import DoraLoader
import DoraTensor
import DoraText

/// One request while it is answered: the tokens still to compute, the state of those before, and the output so far.
/// Knows nothing of the sequences beside it.
struct RunningSequence {
    /// What a model needs to know of itself to end a text.
    struct Limits {
        /// Positions that a sequence may have.
        let context: Int
        let eosIDs: Set<Int>
        /// Once a sequence is longer, all its tokens are computed again; nil for never.
        var recomputedLength: Int?
    }

    let weights: ModelWeights
    /// Of the tokens that are computed, or that the step in hand computes.
    var state: SequenceState
    private let request: GenerationRequest
    private let context: Int
    private let ends: Set<Int>
    private let recomputedLength: Int?
    private var output: GrowingCompletion
    /// The constraint on the text, if it is one of several.
    private(set) var walk: ChoiceWalk?
    /// How many alternatives to report for the prompt's own tokens; nil if they are not scored.
    private let promptTop: Int?
    /// Until the first token is made, its indices are positions.
    private var pending: ArraySlice<Int>
    /// All tokens so far, once it was asked what may follow them.
    private var history: TokenHistory?
    private var step = CurrentStep()
    /// Whether the tokens so far are being computed again.
    private var isRecomputing = false
    /// Of the sequence, when its last tokens were rotated.
    private(set) var rotatedLength = 0
    private(set) var isFinished: Bool
    private let start = ContinuousClock.now
    private var firstToken: ContinuousClock.Instant?
    private var lastToken: ContinuousClock.Instant?

    /// - Parameter state: empty, or of a beginning of this very prompt under these very weights.
    /// - Precondition: the prompt has passed `GenerationRequest.check`, and is longer than that.
    init(
        _ request: GenerationRequest, weights: ModelWeights, state: SequenceState, limits: Limits,
        tokenizer: (any Tokenizer)?
    ) {
        self.request = request
        self.weights = weights
        self.state = state
        context = limits.context
        recomputedLength = limits.recomputedLength
        ends = request.ends(eosIDs: limits.eosIDs, tokenizer: tokenizer)
        output = GrowingCompletion(request: request, detokenizer: tokenizer?.makeDetokenizer())
        promptTop = request.choices == nil ? request.promptLogprobs : nil
        walk = request.choices.map { ChoiceWalk($0, ends: limits.eosIDs) }
        // What every choice begins with is known.
        pending = (request.prompt + (walk?.tokens ?? []))[state.count...]
        isFinished = request.maximumTokens == 0 || walk?.answer != nil
    }

    /// Whether the prompt has been taken in, so that each further step makes a token.
    var isDecoding: Bool { firstToken != nil && !isRecomputing }
    var tokenIDs: [Int] { walk?.tokens ?? output.completion.tokenIDs }
    var logprobs: [TokenLogprob] { output.completion.logprobs }
    var pendingTokens: Int { pending.count }
    /// The tokens whose state this is.
    var computedTokens: ArraySlice<Int> {
        state.count <= request.prompt.count
            ? request.prompt[..<state.count]
            : tokens[..<state.count]
    }
    /// All so far: the prompt's and those that were made.
    var tokens: [Int] { request.prompt + tokenIDs }

    /// The next tokens to compute; the logits of the last are wanted once none is left, those of all if the prompt is
    /// scored.
    mutating func nextPart(atMost count: Int, in heap: Heap) throws(ComputeError) -> StepPart {
        var tokens = pending.prefix(count)
        pending = pending.dropFirst(count)
        if pending.isEmpty { isRecomputing = false }
        step.begin(tokens, behind: state.count)
        tokens += step.guess?.tokens ?? []
        let scores = promptTop != nil && firstToken == nil
        let part = try StepPart(
            weights: weights, extending: &state, by: tokens,
            logits: scores ? .all : pending.isEmpty ? .tail(1 + tokens.count - step.known) : .none,
            following: pending.count, in: heap)
        rotatedLength = part.length
        return part
    }

    mutating func begin(on state: SequenceState) {
        self.state = state
        pending = tokens[state.count...]
    }

    /// Computes all tokens so far again; what was made of them stays as it is.
    /// - Parameter state: empty, or of a beginning of these very tokens under these very weights.
    mutating func beginAgain(on state: SequenceState) {
        begin(on: state)
        isRecomputing = true
    }

    /// Begins again where the next tokens make the sequence so long that all are rotated differently.
    private mutating func recomputeIfLonger() {
        guard let limit = recomputedLength, state.count <= limit, state.count + pending.count > limit else {
            return
        }
        beginAgain(on: SequenceState(state.geometry))
    }

    /// Takes the likeliest token, of those that are allowed, of the logits that were wanted; or, before the prompt's end,
    /// the probability of the token that stands there.
    /// - Parameter token: whose logits these are, counted from the first of the step in hand.
    /// - Throws: `RuntimeError.notFinite`
    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, token: Int, emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError) {
        if let promptTop, firstToken == nil, step.position + token + 1 < request.prompt.count {
            _ = try Logits.greedy(logits)
            return output.record(prompt: request.prompt[step.position + token + 1], logits, top: promptTop)
        }
        // Behind a wrong guess, or behind the end.
        if step.isSettled { return }
        let now = ContinuousClock.now
        firstToken = firstToken ?? now
        lastToken = now
        if walk != nil { return try choose(by: logits) }
        let id = try Logits.greedy(logits)
        output.record(id, logits)
        let goesOn = output.accept(id, isEnd: ends.contains(id), emit: emit)
        history?.append(id)
        let computed = step.start + token + 1
        let isFull = output.completion.tokenIDs.count == request.maximumTokens || computed == context
        isFinished = !goesOn || isFull
        if !isFinished, step.isGuessed(id, behind: token) { return }
        output.count(accepted: step.settle(at: token, isEnd: isFinished))
        state.takeBack(to: computed)
        if isFinished { return }
        pending = [id]
        recomputeIfLonger()
    }

    mutating func guess(atMost count: Int, others: TokenHistory?) -> Guess? {
        guard walk == nil, promptTop == nil, !isFinished, !pending.isEmpty else { return nil }
        let known = state.count + pending.count
        // What is promised to the sequence, block by block, is promised for tokens that are sure to come.
        let room = KeyValueGeometry.blocks(known) * KeyValueGeometry.blockPositions - known
        let left = request.maximumTokens - output.completion.tokenIDs.count - 1
        let most = min(count, room, left, context - known)
        if most <= 0 { return nil }
        if history == nil {
            var all = TokenHistory(limit: 1 << 15)
            all.append(tokens)
            history = all
        }
        guard let history else { return nil }
        let own = history.match(after: history.recent, atMost: most, isOwn: true)
        let other = others?.match(after: history.recent, atMost: most, isOwn: false)
        if let other, other.length > own?.length ?? 0 { return Guess(tokens: other.tokens, isOwn: false) }
        return own.map { Guess(tokens: $0.tokens, isOwn: true) }
    }

    mutating func take(_ guess: Guess) { step.next = guess }

    mutating func settleGuess() -> SettledGuess? {
        defer { step.settled = nil }
        return step.settled
    }

    private mutating func choose(by logits: UnsafeBufferPointer<Float>) throws(RuntimeError) {
        pending = try walk?.advance(by: logits) ?? []
        isFinished = walk?.answer != nil || pending.isEmpty
        if !isFinished { recomputeIfLonger() }
    }

    /// The completion as it stands; a choice is shown whole.
    mutating func finish(emit: (_ id: Int, _ text: String) -> Bool) -> Completion {
        var completion = walk?.finish(emit: emit) ?? output.finish(emit: emit)
        if let firstToken, let lastToken {
            completion.prefillTime = firstToken - start
            completion.decodeTime = lastToken - firstToken
        }
        return completion
    }
}

/// The step in hand, as one sequence sees it.
private struct CurrentStep {
    /// For the step to come.
    var next: Guess?
    private(set) var guess: Guess?
    /// How many tokens are no guesses.
    private(set) var known = 0
    /// Tokens before it.
    private(set) var start = 0
    /// Of the first token, while the prompt is taken in.
    private(set) var position = 0
    /// Whether no more of its logits are of use.
    private(set) var isSettled = false
    var settled: SettledGuess?

    mutating func begin(_ tokens: ArraySlice<Int>, behind count: Int) {
        (guess, next) = (next, nil)
        (known, start, position) = (tokens.count, count, tokens.startIndex)
        (isSettled, settled) = (false, nil)
    }

    /// Whether the token behind another was guessed, so that its logits are there.
    func isGuessed(_ id: Int, behind token: Int) -> Bool {
        let index = token + 1 - known
        return guess.map { index < $0.tokens.count && $0.tokens[index] == id } ?? false
    }

    /// - Parameter token: the last one that stands.
    /// - Returns: how many guesses were right.
    mutating func settle(at token: Int, isEnd: Bool) -> Int {
        isSettled = true
        guard let guess else { return 0 }
        let accepted = token + 1 - known
        settled = SettledGuess(
            count: guess.tokens.count, accepted: accepted, isOwn: guess.isOwn,
            isWrong: !isEnd && accepted < guess.tokens.count)
        return accepted
    }
}
