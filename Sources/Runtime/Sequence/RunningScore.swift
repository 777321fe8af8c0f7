import DoraLoader
import DoraTensor

/// A request for log probabilities while it is answered.
///
/// The prompt is computed once, and so is what continuations begin with alike. They branch off behind it: they read its
/// keys and values, and a token's logits depend on nothing but the tokens before it, so each gets the bits that prompt and
/// continuation get together.
struct RunningScore: RunningRequest {
    /// Continuations that begin alike, one after the other.
    private struct Branch {
        let cache: KeyValueCache
        var runs: ArraySlice<TokenTrie.Run>
        /// Tokens of the first run that are computed.
        var done = 0

        var pendingTokens: Int { (runs.first?.tokens.count ?? 0) - done }
    }

    /// What is read off the logits of a part's tokens.
    private enum Scored {
        /// The prompt's own tokens behind them.
        case prompt(ArraySlice<Int>)
        /// Those of all continuations that begin so, the first of the part's tokens being token `depth`.
        case beginnings(place: Int, depth: Int)
    }

    /// Branches computed together at most: each has keys and values of its own.
    static let mostBranches = 16

    let weights: ModelWeights
    /// Of the prompt alone.
    let cache: KeyValueCache
    private let request: ScoreRequest
    private let width: Int
    /// Of the prompt.
    private var pending: ArraySlice<Int>
    private let trie: TokenTrie
    /// Branches that have not begun. Continuations of one token need only the prompt.
    private var waiting: ArraySlice<[TokenTrie.Run]>
    private var branches: [Branch] = []
    private var inStep: [Scored] = []
    private var lists: [[TokenLogprob]]
    private let start = ContinuousClock.now
    private var end: ContinuousClock.Instant?

    /// - Parameters:
    ///   - cache: empty, or beginning with blocks of this very prompt under these very weights; empty if the prompt's own
    ///     tokens are to be scored.
    ///   - width: branches to compute together.
    /// - Precondition: the request has passed its `check`; the prompt is longer than what the cache holds.
    init(_ request: ScoreRequest, weights: ModelWeights, cache: KeyValueCache, width: Int) {
        self.request = request
        self.weights = weights
        self.cache = cache
        self.width = width
        let continuations = request.continuations
        pending = continuations == nil ? request.prompt.dropLast() : request.prompt[cache.count...]
        trie = TokenTrie(continuations ?? [])
        waiting = trie.runs[...]
        lists = Array(repeating: [], count: continuations?.count ?? 1)
    }

    /// With the longest continuation: all of them are rotated alike.
    var rotatedLength: Int { request.length }
    var isFinished: Bool { pending.isEmpty && waiting.isEmpty && branches.isEmpty }
    var isDecoding: Bool { false }
    var tokenIDs: [Int] { [] }
    var logprobs: [TokenLogprob] { [] }
    var computedTokens: ArraySlice<Int> { request.prompt[..<cache.count] }
    var result: Scores { Scores(request: request, lists: lists) }
    var scores: Scores? { result }

    /// What one step can take: continuations begin when the prompt is done.
    var pendingTokens: Int {
        if !pending.isEmpty { return pending.count }
        let next = waiting.prefix(max(0, width - branches.count))
        let further = branches.flatMap { $0.runs.dropFirst() }.prefix(max(0, width - branches.count))
        return branches.reduce(0) { $0 + $1.pendingTokens }
            + next.reduce(0) { $0 + ($1.first?.tokens.count ?? 0) }
            + further.reduce(0) { $0 + $1.tokens.count }
    }

    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart] {
        inStep = []
        if !pending.isEmpty { return [try promptPart(atMost: count, on: pass)] }
        var parts: [StepPart] = []
        var room = count
        for place in 0..<width where room > 0 {
            if place == branches.count {
                guard let branch = try nextBranch(on: pass) else { break }
                branches.append(branch)
            }
            guard let run = branches[place].runs.first else { continue }
            let done = branches[place].done
            let branch = branches[place].cache
            if done == 0 { branch.rewind(to: request.prompt.count + run.tokens.lowerBound) }
            let tokens = trie.sequence(at: run.place)[run.tokens].dropFirst(done).prefix(room)
            room -= tokens.count
            branches[place].done += tokens.count
            if branches[place].pendingTokens == 0 {
                branches[place].runs = branches[place].runs.dropFirst()
                branches[place].done = 0
            }
            inStep.append(.beginnings(place: run.place, depth: tokens.startIndex + 1))
            parts.append(
                StepPart(
                    weights: weights, cache: branch, tokens: tokens, logits: .all,
                    following: rotatedLength - branch.count - tokens.count))
        }
        for part in parts { try pass.reserve(part) }
        // What is left of a branch now is in this step.
        branches.removeAll { $0.runs.isEmpty }
        return parts
    }

    /// One that waits, or else half of what another has before it, from where the two part.
    private mutating func nextBranch(on pass: ForwardPass) throws(ComputeError) -> Branch? {
        if let runs = waiting.popFirst() { return Branch(cache: try pass.branch(cache), runs: runs[...]) }
        for index in branches.indices {
            let (runs, other) = (branches[index].runs, branches[index].cache)
            // Where a run goes on from what all those before it, and the keys and values, have in common.
            var common = other.count - request.prompt.count
            let parting = runs.indices.filter { place in
                let start = runs[place].tokens.lowerBound
                defer { common = min(common, start) }
                return place > runs.startIndex && start <= common
            }
            guard !parting.isEmpty else { continue }
            let place = parting[parting.count / 2]
            branches[index].runs = runs[..<place]
            return Branch(
                cache: try pass.branch(
                    other, at: request.prompt.count + runs[place].tokens.lowerBound,
                    sharing: cache.fullBlocks.count),
                runs: runs[place...])
        }
        return nil
    }

    private mutating func promptPart(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> StepPart
    {
        let tokens = pending.prefix(count)
        pending = pending.dropFirst(count)
        let isWhole = request.continuations == nil
        // Every continuation begins behind the prompt's last token, which is the part's last.
        inStep = [
            isWhole
                ? .prompt(request.prompt[tokens.startIndex + 1...tokens.endIndex])
                : .beginnings(place: 0, depth: 1 - tokens.count)
        ]
        let part = StepPart(
            weights: weights, cache: cache, tokens: tokens,
            logits: isWhole ? .all : pending.isEmpty ? .last : .none,
            following: rotatedLength - cache.count - tokens.count)
        try pass.reserve(part)
        return part
    }

    /// Reads off the log probabilities of the tokens that may stand behind the one whose logits these are.
    mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, part: Int, token: Int,
        emit: (_ id: Int, _ text: String) -> Bool
    ) throws(RuntimeError) {
        _ = try Logits.greedy(logits)
        if let node = node(part: part, token: token) {
            let open = node.places.map { trie.order[$0] }.filter { trie.sequences[$0].count > node.depth }
            let found = Logits.probabilities(
                of: open.map { trie.sequences[$0][node.depth] }, in: logits, top: request.top)
            for (list, score) in zip(open, found) { lists[list].append(score) }
        } else if case .prompt(let tokens) = inStep[part] {
            let id = tokens[tokens.startIndex + token]
            lists[0].append(Logits.probabilities(of: id, in: logits, top: request.top))
        }
        end = ContinuousClock.now
    }

    /// The beginning of continuations that a token of the step in hand ends; nil for the prompt's own tokens.
    func node(part: Int, token: Int) -> TokenTrie.Node? {
        guard case .beginnings(let place, let depth) = inStep[part] else { return nil }
        return trie.node(at: place, depth: depth + token)
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
    /// Of the longest sequence.
    var length: Int { prompt.count + ((continuations ?? []).map(\.count).max() ?? 0) }

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

    /// How many branches to compute together: no more than there are, nor than fit in a quarter of all blocks, so that
    /// others need not wait for their memory.
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
