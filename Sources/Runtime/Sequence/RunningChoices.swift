import DoraLoader
import DoraTensor

/// A request for a choice with the log probabilities of all: each is scored as a continuation of the prompt, and the
/// logits that these are read off decide the answer, as they would without.
struct RunningChoices: RunningRequest {
    private var score: RunningScore
    private var walk: ChoiceWalk
    private let ends: Set<Int>
    private var decisions: [TokenTrie.Node: Choices.Option] = [:]

    /// - Precondition: as for `RunningScore`.
    init(_ choices: Choices, ends: Set<Int>, score: RunningScore) {
        self.score = score
        self.ends = ends
        walk = ChoiceWalk(choices, ends: ends)
    }

    var cache: KeyValueCache { score.cache }
    var computedTokens: ArraySlice<Int> { score.computedTokens }
    var rotatedLength: Int { score.rotatedLength }
    var isDecoding: Bool { false }
    var isFinished: Bool { score.isFinished }
    var pendingTokens: Int { score.pendingTokens }
    var tokenIDs: [Int] { isFinished ? decided.tokens : [] }
    var logprobs: [TokenLogprob] { isFinished ? decided.answer.map { score.result.lists[$0] } ?? [] : [] }
    /// They are in the completion, beside the text.
    var scores: Scores? { nil }

    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart] {
        try score.nextParts(atMost: count, on: pass)
    }

    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, part: Int, token: Int,
        emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError) {
        try score.accept(logits, part: part, token: token, emit: emit)
        guard let node = score.node(part: part, token: token) else { return }
        decisions[node] = try walk.choices.decide(at: node, by: logits, ends: ends)
    }

    private var decided: ChoiceWalk {
        var walk = walk
        while walk.answer == nil, let option = decisions[walk.node] { walk.take(option) }
        return walk
    }

    mutating func finish(emit: (_ id: Int, _ text: String) -> Bool) -> Completion {
        var completion =
            isFinished
            ? decided.finish(scores: score.result, emit: emit) : walk.finish { _, _ in false }
        completion.prefillTime = score.finish(emit: emit).prefillTime
        return completion
    }
}
