import DoraLoader
import DoraTensor

/// A request for a choice with the log probabilities of all: each is scored as a continuation of the prompt, and the
/// logits that these are read off decide the answer, as they would without. Where they would not, because a text in the
/// making is rotated otherwise than a whole one, the answer is found first, without the scores.
struct RunningChoices: RunningRequest {
    private var score: RunningScore
    private var sequence: RunningSequence?
    private var walk: ChoiceWalk
    private let ends: Set<Int>
    private var decisions: [TokenTrie.Node: Choices.Option] = [:]

    /// - Parameter sequence: finds the answer; nil where the score's logits do.
    /// - Precondition: as for `RunningScore`.
    init(_ choices: Choices, ends: Set<Int>, score: RunningScore, decidedBy sequence: RunningSequence?) {
        self.score = score
        self.sequence = sequence
        self.ends = ends
        walk = ChoiceWalk(choices, ends: ends)
    }

    /// The sequence that finds the answer, as long as it has not.
    private var deciding: RunningSequence? { sequence.flatMap { $0.isFinished ? nil : $0 } }

    var state: SequenceState {
        get { deciding?.state ?? score.state }
        set { if deciding == nil { score.state = newValue } else { sequence?.state = newValue } }
    }
    var computedTokens: ArraySlice<Int> { deciding?.computedTokens ?? score.computedTokens }
    var rotatedLength: Int { deciding?.rotatedLength ?? score.rotatedLength }
    var isDecoding: Bool { false }
    var isFinished: Bool { deciding == nil && score.isFinished }
    var pendingTokens: Int { deciding?.pendingTokens ?? score.pendingTokens }
    var tokenIDs: [Int] { isFinished ? decided.tokens : [] }
    var logprobs: [TokenLogprob] { isFinished ? decided.answer.map { score.result.lists[$0] } ?? [] : [] }
    /// They are in the completion, beside the text.
    var scores: Scores? { nil }

    mutating func begin(on state: SequenceState) {
        score.begin(on: state)
        sequence?.begin(on: state)
    }

    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart] {
        if deciding != nil { return try sequence?.nextParts(atMost: count, on: pass) ?? [] }
        return try score.nextParts(atMost: count, on: pass)
    }

    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, part: Int, token: Int,
        emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError) {
        if deciding != nil {
            try sequence?.accept(logits, token: token) { _, _ in true }
            // The memory is for the scores now.
            if deciding == nil { sequence?.state = SequenceState(score.state.geometry) }
            return
        }
        try score.accept(logits, part: part, token: token, emit: emit)
        guard sequence == nil, let node = score.node(part: part, token: token) else { return }
        decisions[node] = try walk.choices.decide(at: node, by: logits, ends: ends)
    }

    private var decided: ChoiceWalk {
        var walk = sequence?.walk ?? walk
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
