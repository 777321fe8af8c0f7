import DoraLoader
import DoraTensor
import DoraText

/// A request while it is answered, as a batch sees it: tokens to compute, logits to read, an end.
protocol RunningRequest {
    /// Of its prompt and what it makes of it, or of its prompt alone; between steps, others may go on from its full blocks.
    var state: SequenceState { get set }
    /// The tokens whose state this is.
    var computedTokens: ArraySlice<Int> { get }
    /// The length of the sequence by which the state's keys were rotated last.
    var rotatedLength: Int { get }
    /// Whether the prompt has been taken in, so that each further step makes a token.
    var isDecoding: Bool { get }
    var isFinished: Bool { get }
    /// Tokens that the next step could compute.
    var pendingTokens: Int { get }
    /// What was generated so far.
    var tokenIDs: [Int] { get }
    /// Their log probabilities, if they were asked for.
    var logprobs: [TokenLogprob] { get }
    /// What was scored; nil if nothing was to be.
    var scores: Scores? { get }

    /// Begins with more of the prompt, before anything is computed.
    /// - Parameter state: of a beginning of this very prompt under these very weights; the prompt is longer.
    mutating func begin(on state: SequenceState)

    /// The next tokens to compute.
    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart]

    /// What it may go on with behind all that is pending; nil if that is of no use, or nobody knows.
    /// - Parameter others: earlier texts by the same weights.
    mutating func guess(atMost count: Int, others: TokenHistory?) -> Guess?

    /// Has the next step, which must compute all that is pending, compute these tokens, too.
    mutating func take(_ guess: Guess)

    /// What became of the tokens that it took for the step that was computed last.
    mutating func settleGuess() -> SettledGuess?

    /// Takes the logits of a token of a part of the step in hand.
    /// - Throws: `RuntimeError.notFinite`
    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, part: Int, token: Int,
        emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError)

    /// The completion as it stands.
    mutating func finish(emit: (_ id: Int, _ text: String) -> Bool) -> Completion
}

extension RunningRequest {
    mutating func guess(atMost count: Int, others: TokenHistory?) -> Guess? { nil }
    mutating func take(_ guess: Guess) {}
    mutating func settleGuess() -> SettledGuess? { nil }
}

extension GenerationRequest {
    /// - Parameters:
    ///   - state: empty, or of a beginning of this very prompt under these very weights.
    ///   - width: branches to compute together where several choices are scored.
    /// - Precondition: the request has passed its `check`, and the prompt is longer than what the state is of.
    func running(
        on configuration: ModelConfiguration, weights: ModelWeights, state: SequenceState,
        limits: RunningSequence.Limits, tokenizer: (any Tokenizer)?, width: (ScoreRequest) -> Int
    ) -> any RunningRequest {
        let sequence = RunningSequence(
            self, weights: weights, state: state, limits: limits, tokenizer: tokenizer)
        guard let choices, let scored = scoredChoices else { return sequence }
        let score = RunningScore(
            scored, on: configuration, weights: weights, state: state, width: width(scored))
        // Where a choice is scored otherwise than it is made, its logits do not decide.
        let isAlike = configuration.rotation(ofLengths: [prompt.count] + scored.lengths) != nil
        return RunningChoices(
            choices, ends: limits.eosIDs, score: score, decidedBy: isAlike ? nil : sequence)
    }
}

extension RunningSequence: RunningRequest {
    var scores: Scores? { nil }

    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart] {
        [try nextPart(atMost: count, in: pass.heap)]
    }

    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, part: Int, token: Int,
        emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError) {
        try accept(logits, token: token, emit: emit)
    }
}
