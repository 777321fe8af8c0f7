import DoraLoader
import DoraTensor

/// A request for log probabilities while it is answered.
///
/// The prompt is computed once, and so is what continuations begin with alike. They branch off behind it: they read its
/// keys and values, and a token's logits depend on nothing but the tokens before it, so each gets the bits that prompt and
/// continuation get together. Where these are rotated by the length that they have together, only continuations that are
/// rotated alike share a prompt.
struct RunningScore: RunningRequest {
    /// Continuations that begin alike, one after the other.
    private struct Branch {
        var state: SequenceState
        /// Positions before the step in hand.
        var computed: Int
        var runs: ArraySlice<TokenTrie.Run>
        /// Tokens of the first run that are computed.
        var done = 0

        var pendingTokens: Int { (runs.first?.tokens.count ?? 0) - done }

        /// Goes to where the first run begins, and stays able to go to where the others do.
        mutating func turn(to prompt: Int) {
            guard let start = runs.first?.tokens.lowerBound else { return }
            state.takeBack(to: prompt + start)
            state.anchor = runs.dropFirst().map { prompt + $0.tokens.lowerBound }.min()
        }
    }

    /// Continuations that are rotated alike, and so share a prompt.
    private struct Group {
        let trie: TokenTrie
        /// Of the sequences of `trie` among all continuations.
        let indices: [Int]
        /// Of the longest with the prompt.
        let length: Int
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
    var state: SequenceState
    private let request: ScoreRequest
    private let width: Int
    /// Of the prompt.
    private var pending: ArraySlice<Int>
    /// The one in hand.
    private var group: Group
    private var furtherGroups: ArraySlice<Group>
    /// Branches that have not begun. Continuations of one token need only the prompt.
    private var waiting: ArraySlice<[TokenTrie.Run]>
    private var branches: [Branch] = []
    private var inStep: [Scored] = []
    private var lists: [[TokenLogprob]]
    private let start = ContinuousClock.now
    private var end: ContinuousClock.Instant?

    /// - Parameters:
    ///   - state: empty, or of a beginning of this very prompt under these very weights; empty if the prompt's own tokens
    ///     are to be scored, or if not all continuations are rotated alike.
    ///   - width: branches to compute together.
    /// - Precondition: the request has passed its `check`; the prompt is longer than what the state is of.
    init(
        _ request: ScoreRequest, on configuration: ModelConfiguration, weights: ModelWeights,
        state: SequenceState, width: Int
    ) {
        self.request = request
        self.weights = weights
        self.state = state
        self.width = width
        let groups = Self.groups(request, on: configuration)
        group = groups.first ?? Group(trie: TokenTrie([]), indices: [], length: request.prompt.count)
        furtherGroups = groups.dropFirst()
        pending = request.continuations == nil ? request.prompt.dropLast() : request.prompt[state.count...]
        waiting = group.trie.runs[...]
        lists = Array(repeating: [], count: request.continuations?.count ?? 1)
    }

    private static func groups(_ request: ScoreRequest, on configuration: ModelConfiguration) -> [Group] {
        /// How all are rotated, or, if each length has its own rotation, that.
        struct Rotation: Hashable {
            let shared: Int?
            let length: Int?
        }
        let continuations = request.continuations ?? []
        let lengths = request.lengths
        let alike = Dictionary(grouping: continuations.indices) { index in
            let rotation = configuration.rotation(ofLength: lengths[index])
            return Rotation(shared: rotation, length: rotation == nil ? lengths[index] : nil)
        }
        return alike.values.sorted { $0[0] < $1[0] }.map { indices in
            Group(
                trie: TokenTrie(indices.map { continuations[$0] }), indices: indices,
                length: indices.map { lengths[$0] }.max() ?? 0)
        }
    }

    /// Of any of the sequences in hand: all of them are rotated alike.
    var rotatedLength: Int { group.length }
    var isFinished: Bool { isGroupFinished && furtherGroups.isEmpty }
    private var isGroupFinished: Bool { pending.isEmpty && waiting.isEmpty && branches.isEmpty }
    private var trie: TokenTrie { group.trie }
    var isDecoding: Bool { false }
    var tokenIDs: [Int] { [] }
    var logprobs: [TokenLogprob] { [] }
    var computedTokens: ArraySlice<Int> { request.prompt[..<state.count] }
    var result: Scores { Scores(request: request, lists: lists) }
    var scores: Scores? { result }

    /// What one step can take: continuations begin when the prompt is done.
    var pendingTokens: Int {
        if !pending.isEmpty { return pending.count }
        if isGroupFinished && !furtherGroups.isEmpty { return request.prompt.count }
        let next = waiting.prefix(max(0, width - branches.count))
        let further = branches.flatMap { $0.runs.dropFirst() }.prefix(max(0, width - branches.count))
        return branches.reduce(0) { $0 + $1.pendingTokens }
            + next.reduce(0) { $0 + ($1.first?.tokens.count ?? 0) }
            + further.reduce(0) { $0 + $1.tokens.count }
    }

    mutating func begin(on state: SequenceState) {
        self.state = state
        pending = request.prompt[state.count...]
    }

    mutating func nextParts(atMost count: Int, on pass: ForwardPass) throws(ComputeError) -> [StepPart] {
        inStep = []
        if isGroupFinished, let next = furtherGroups.popFirst() { begin(next) }
        if !pending.isEmpty { return [try promptPart(atMost: count, on: pass)] }
        var parts: [StepPart] = []
        var room = count
        for place in 0..<width where room > 0 {
            if place == branches.count {
                guard let branch = nextBranch() else { break }
                branches.append(branch)
            }
            guard let run = branches[place].runs.first else { continue }
            let done = branches[place].done
            if done == 0 { branches[place].turn(to: request.prompt.count) }
            branches[place].computed = branches[place].state.count
            let tokens = trie.sequence(at: run.place)[run.tokens].dropFirst(done).prefix(room)
            room -= tokens.count
            branches[place].done += tokens.count
            if branches[place].pendingTokens == 0 {
                branches[place].runs = branches[place].runs.dropFirst()
                branches[place].done = 0
            }
            inStep.append(.beginnings(place: run.place, depth: tokens.startIndex + 1))
            let following = rotatedLength - branches[place].state.count - tokens.count
            parts.append(
                try StepPart(
                    weights: weights, extending: &branches[place].state, by: tokens, logits: .all,
                    following: following, in: pass.heap))
        }
        // What is left of a branch now is in this step.
        branches.removeAll { $0.runs.isEmpty }
        return parts
    }

    /// One that waits, or else half of what another has before it, from where the two part.
    private mutating func nextBranch() -> Branch? {
        if let runs = waiting.popFirst() {
            return Branch(state: state, computed: state.count, runs: runs[...])
        }
        for index in branches.indices {
            let (runs, other) = (branches[index].runs, branches[index])
            // Where a run goes on from what all those before it, and the keys and values, have in common.
            var common = other.computed - request.prompt.count
            let parting = runs.indices.filter { place in
                let start = runs[place].tokens.lowerBound
                defer { common = min(common, start) }
                return place > runs.startIndex && start <= common
            }
            guard !parting.isEmpty else { continue }
            let place = parting[parting.count / 2]
            branches[index].runs = runs[..<place]
            return Branch(state: other.state, computed: other.computed, runs: runs[place...])
        }
        return nil
    }

    /// Takes the prompt in again, rotated as further continuations have it.
    private mutating func begin(_ next: Group) {
        group = next
        waiting = next.trie.runs[...]
        state = SequenceState(state.geometry)
        pending = request.prompt[...]
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
        let following = rotatedLength - state.count - tokens.count
        return try StepPart(
            weights: weights, extending: &state, by: tokens,
            logits: isWhole ? .all : pending.isEmpty ? .last : .none, following: following, in: pass.heap)
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
            for (sequence, score) in zip(open, found) { lists[group.indices[sequence]].append(score) }
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
