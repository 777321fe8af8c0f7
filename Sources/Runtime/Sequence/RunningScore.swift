import DoraLoader
import DoraTensor

/// A request for log probabilities while it is answered.
///
/// The prompt is computed once. Continuations branch off behind it: they read its keys and values, and a token's logits
/// depend on nothing but the tokens before it, so each gets the bits that prompt and continuation get together.
struct RunningScore: RunningRequest {
    /// A continuation that is under way.
    private struct Branch {
        let index: Int
        let cache: KeyValueCache
        /// Tokens still to compute: all but the last, behind which nothing is scored.
        var pending: ArraySlice<Int>
    }

    /// What a part of the step in hand computes: the tokens before these, whose log probabilities are read off.
    private struct Scored {
        let list: Int
        let tokens: ArraySlice<Int>
    }

    /// Continuations computed together at most: each has keys and values of its own.
    static let mostBranches = 16

    let weights: ModelWeights
    /// Of the prompt alone.
    let cache: KeyValueCache
    private let request: ScoreRequest
    private let width: Int
    /// Of the prompt.
    private var pending: ArraySlice<Int>
    /// Continuations that have not begun. Those of one token need only the prompt.
    private var waiting: ArraySlice<Int>
    private var branches: [Branch] = []
    private var inStep: [Scored] = []
    private var lists: [[TokenLogprob]]
    private let start = ContinuousClock.now
    private var end: ContinuousClock.Instant?

    /// - Parameters:
    ///   - cache: empty, or beginning with blocks of this very prompt under these very weights; empty if the prompt's own
    ///     tokens are to be scored.
    ///   - width: continuations to compute together.
    /// - Precondition: the request has passed its `check`; the prompt is longer than what the cache holds.
    init(_ request: ScoreRequest, weights: ModelWeights, cache: KeyValueCache, width: Int) {
        self.request = request
        self.weights = weights
        self.cache = cache
        self.width = width
        let continuations = request.continuations
        pending = continuations == nil ? request.prompt.dropLast() : request.prompt[cache.count...]
        waiting = (continuations ?? []).indices.filter { (continuations?[$0].count ?? 0) > 1 }[...]
        lists = Array(repeating: [], count: continuations?.count ?? 1)
    }

    var isFinished: Bool { pending.isEmpty && waiting.isEmpty && branches.isEmpty }
    var isDecoding: Bool { false }
    var tokenIDs: [Int] { [] }
    var computedTokens: ArraySlice<Int> { request.prompt[..<cache.count] }
    var result: Scores { Scores(request: request, lists: lists) }
    var scores: Scores? { result }

    /// What one step can take: continuations begin when the prompt is done.
    var pendingTokens: Int {
        if !pending.isEmpty { return pending.count }
        let next = waiting.prefix(max(0, width - branches.count))
        return branches.reduce(0) { $0 + $1.pending.count }
            + next.reduce(0) { $0 + continuation($1).count - 1 }
    }

    private func continuation(_ index: Int) -> [Int] { request.continuations?[index] ?? [] }

    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart] {
        inStep = []
        if !pending.isEmpty { return [try promptPart(atMost: count, on: pass)] }
        var parts: [StepPart] = []
        var room = count
        for place in 0..<width where room > 0 {
            if place == branches.count {
                guard let index = waiting.popFirst() else { break }
                branches.append(
                    Branch(
                        index: index, cache: try pass.branch(cache), pending: continuation(index).dropLast()))
            }
            let tokens = branches[place].pending.prefix(room)
            branches[place].pending = branches[place].pending.dropFirst(tokens.count)
            room -= tokens.count
            let list = branches[place].index
            inStep.append(
                Scored(list: list, tokens: continuation(list)[tokens.startIndex + 1...tokens.endIndex]))
            parts.append(
                StepPart(weights: weights, cache: branches[place].cache, tokens: tokens, logits: .all))
        }
        for part in parts { try pass.reserve(part) }
        // What is left of a branch now is in this step.
        branches.removeAll { $0.pending.isEmpty }
        return parts
    }

    private mutating func promptPart(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> StepPart
    {
        let tokens = pending.prefix(count)
        pending = pending.dropFirst(count)
        let isWhole = request.continuations == nil
        if isWhole {
            inStep = [Scored(list: 0, tokens: request.prompt[tokens.startIndex + 1...tokens.endIndex])]
        }
        let part = StepPart(
            weights: weights, cache: cache, tokens: tokens,
            logits: isWhole ? .all : pending.isEmpty ? .last : .none)
        try pass.reserve(part)
        return part
    }

    /// Reads off the log probabilities of the tokens that may stand behind the one whose logits these are.
    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, part: Int, token: Int,
        emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError) {
        _ = try Logits.greedy(logits)
        if inStep.isEmpty {
            // The prompt's last: every continuation begins here.
            let firsts = (request.continuations ?? []).compactMap(\.first)
            let found = Logits.probabilities(of: firsts, in: logits, top: request.top)
            for (list, score) in found.enumerated() { lists[list].append(score) }
        } else {
            let scored = inStep[part]
            let id = scored.tokens[scored.tokens.startIndex + token]
            lists[scored.list].append(Logits.probabilities(of: id, in: logits, top: request.top))
        }
        end = ContinuousClock.now
    }

    /// Nothing is generated; what there is are `scores`.
    mutating func finish(emit: (_ id: Int, _ text: String) -> Bool) -> Completion {
        var completion = Completion()
        completion.finishReason = .scored
        completion.prefillTime = (end ?? start) - start
        return completion
    }
}

extension ScoreRequest {
    /// Blocks of keys and values of the prompt.
    var promptBlocks: Int {
        Self.blocks(continuations == nil ? prompt.count - 1 : prompt.count)
    }

    /// Those that a continuation needs beside the prompt's full ones, at most.
    var branchBlocks: Int {
        let longest = (continuations ?? []).map(\.count).max() ?? 1
        guard longest > 1 else { return 0 }
        return Self.blocks(prompt.count + longest - 1) - prompt.count / KeyValueGeometry.blockPositions
    }

    /// How many continuations to compute together: no more than there are, nor than fit in a quarter of all blocks, so
    /// that others need not wait for their memory.
    func width(blockBudget: Int) -> Int {
        guard branchBlocks > 0 else { return 1 }
        let count = (continuations ?? []).count { $0.count > 1 }
        let room = max(1, (blockBudget / 4 - promptBlocks) / branchBlocks)
        return min(room, count, RunningScore.mostBranches)
    }

    private static func blocks(_ positions: Int) -> Int {
        positions.roundedUp(to: KeyValueGeometry.blockPositions) / KeyValueGeometry.blockPositions
    }
}
