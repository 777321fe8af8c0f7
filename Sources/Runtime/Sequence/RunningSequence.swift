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
    /// Position of the first token of the step in hand, while the prompt is taken in.
    private var position = 0
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
        let tokens = pending.prefix(count)
        pending = pending.dropFirst(count)
        if pending.isEmpty { isRecomputing = false }
        position = tokens.startIndex
        let scores = promptTop != nil && firstToken == nil
        let part = try StepPart(
            weights: weights, extending: &state, by: tokens,
            logits: scores ? .all : pending.isEmpty ? .last : .none, following: pending.count, in: heap)
        rotatedLength = part.length
        return part
    }

    /// Computes all tokens so far again; what was made of them stays as it is.
    /// - Parameter state: empty, or of a beginning of these very tokens under these very weights.
    mutating func beginAgain(on state: SequenceState) {
        self.state = state
        pending = tokens[state.count...]
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
        if let promptTop, firstToken == nil, position + token + 1 < request.prompt.count {
            _ = try Logits.greedy(logits)
            return output.record(prompt: request.prompt[position + token + 1], logits, top: promptTop)
        }
        let now = ContinuousClock.now
        firstToken = firstToken ?? now
        lastToken = now
        if walk != nil { return try choose(by: logits) }
        let id = try Logits.greedy(logits)
        output.record(id, logits)
        let goesOn = output.accept(id, isEnd: ends.contains(id), emit: emit)
        let isFull =
            output.completion.tokenIDs.count == request.maximumTokens || state.count == context
        isFinished = !goesOn || isFull
        if isFinished { return }
        pending = [id]
        recomputeIfLonger()
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
