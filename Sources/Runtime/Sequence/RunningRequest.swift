import DoraLoader
import DoraTensor
import DoraText

/// A request while it is answered, as a batch sees it: tokens to compute, logits to read, an end.
protocol RunningRequest {
    /// Its prompt's keys and values, whose full blocks others may read.
    var cache: KeyValueCache { get }
    /// The tokens whose keys and values the cache holds.
    var computedTokens: ArraySlice<Int> { get }
    /// The length of the sequence by which the cache's keys were rotated last.
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

    /// The next tokens to compute, with room for their keys and values.
    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart]

    /// Takes the logits of a token of a part of the step in hand.
    /// - Throws: `RuntimeError.notFinite`
    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, part: Int, token: Int,
        emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError)

    /// The completion as it stands.
    mutating func finish(emit: (_ id: Int, _ text: String) -> Bool) -> Completion
}

extension GenerationRequest {
    /// - Parameters:
    ///   - cache: empty, or beginning with blocks of this very prompt under these very weights.
    ///   - width: branches to compute together where several choices are scored.
    /// - Precondition: the request has passed its `check`, and the prompt is longer than what the cache holds.
    func running(
        weights: ModelWeights, cache: KeyValueCache, limits: RunningSequence.Limits,
        tokenizer: (any Tokenizer)?, width: (ScoreRequest) -> Int
    ) -> any RunningRequest {
        guard let choices, let scored = scoredChoices else {
            return RunningSequence(self, weights: weights, cache: cache, limits: limits, tokenizer: tokenizer)
        }
        return RunningChoices(
            choices, ends: limits.eosIDs,
            score: RunningScore(scored, weights: weights, cache: cache, width: width(scored)))
    }
}

extension RunningSequence: RunningRequest {
    var scores: Scores? { nil }

    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart] {
        let part = nextPart(atMost: count)
        try pass.reserve(part)
        return [part]
    }

    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, part: Int, token: Int,
        emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError) {
        try accept(logits, token: token, emit: emit)
    }
}
