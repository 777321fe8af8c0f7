/// Guesses what sequences go on with, and learns from what became of it.
///
/// A guess is computed together with the token before it, in one pass over the weights, and kept if it is what the model
/// chose there. A row's bits do not depend on the rows beside it, so that what is kept is what would have been made anyway:
/// guesses change when tokens come, never which.
///
/// Source: the idea of prompt lookup decoding, https://github.com/apoorvumang/prompt-lookup-decoding, over earlier outputs,
/// too.
struct Speculation {
    /// What is known of the texts of one adapter's generation.
    private struct Record {
        var texts = TokenHistory(limit: 1 << 14)
        /// Of a text from itself; where a new sequence begins.
        var own = Likelihood()
        /// Of a text from earlier ones.
        var others = Likelihood()
        var lastUsed = 0
    }

    /// Generations of which something is known at a time.
    private static let mostRecords = 64
    /// Of a prompt, what is kept before a text: what leads to it.
    private static let lead = 8

    /// What guesses must be likely to gain for each token that they cost: costs are estimates.
    private static let margin = 1.3

    /// Most guesses of a sequence in a step.
    let limit: Int
    private var records: [AdapterIdentity?: Record] = [:]
    private var clock = 0
    var price = StepPrice()
    /// Tokens guessed, and those of them that were right.
    private(set) var guessed = 0
    private(set) var accepted = 0

    /// - Parameter limit: 0 to guess nothing.
    init(limit: Int) { self.limit = limit }

    static let standardLimit = 15

    /// How likely a new sequence of an adapter is to repeat itself.
    func likelihood(of adapter: AdapterIdentity?) -> Likelihood { records[adapter]?.own ?? Likelihood() }

    /// Lets sequences guess the tokens behind their next ones, as many as make the most tokens a second: the likeliest
    /// guesses of all first.
    /// - Parameters:
    ///   - proposals: of sequences that make a token each in the step.
    ///   - making: sequences that do so, with those that have nothing to guess.
    ///   - others: rows of the step beside theirs.
    ///   - room: rows that there may be more.
    /// - Returns: how many tokens of each proposal to compute.
    func counts(of proposals: [Proposal], making: Int, beside others: Int, room: Int) -> [Int] {
        let curve = price.curve
        var counts = proposals.map { _ in 0 }
        var best = (rate: Double(making), counts: counts)
        // That the next token of each is right.
        var chances = proposals.map(\.likelihood)
        var tokens = Double(making)
        for added in 0..<max(0, room) {
            let open = counts.indices.filter { counts[$0] < proposals[$0].guess.tokens.count }
            guard let likeliest = open.max(by: { chances[$0] < chances[$1] }),
                chances[likeliest] > Self.margin * StepPrice.least
            else { break }
            counts[likeliest] += 1
            tokens += chances[likeliest]
            chances[likeliest] *= proposals[likeliest].likelihood
            let longer = curve.growth(of: making + others, by: added + 1, making: making)
            let rate = tokens / (1 + Self.margin * longer)
            if rate > best.rate { best = (rate, counts) }
        }
        return best.counts
    }

    /// What a sequence could go on with.
    /// - Parameter own: how likely it repeats itself.
    func proposal(
        of sequence: inout any RunningRequest, by adapter: AdapterIdentity?, own: Likelihood, atMost most: Int
    ) -> Proposal? {
        let record = records[adapter]
        guard let guess = sequence.guess(atMost: min(most, limit), others: record?.texts) else { return nil }
        let likelihood = guess.isOwn ? own : record?.others ?? Likelihood()
        return Proposal(guess: guess, likelihood: likelihood.value)
    }

    /// Says that nothing of a proposal was computed, so that it is tried again some time.
    mutating func reject(_ proposal: Proposal, of adapter: AdapterIdentity?, own: inout Likelihood) {
        if proposal.guess.isOwn { own.recover() } else { records[adapter]?.others.recover() }
    }

    /// Learns what became of a guess.
    mutating func settle(_ guess: SettledGuess, of adapter: AdapterIdentity?, own: inout Likelihood) {
        guessed += guess.count
        accepted += guess.accepted
        if guess.isOwn {
            own.record(guess)
            update(adapter) { $0.own.record(guess) }
        } else {
            update(adapter) { $0.others.record(guess) }
        }
    }

    /// Remembers a text for later ones by the same weights.
    mutating func remember(prompt: [Int], text: [Int], of adapter: AdapterIdentity?) {
        guard limit > 0, !text.isEmpty else { return }
        update(adapter) { $0.texts.add(text: prompt.suffix(Self.lead) + text) }
    }

    /// Forgets a generation that is gone.
    mutating func forget(_ adapter: AdapterIdentity) { records[adapter] = nil }

    mutating func record(rows: Int, seconds: Double) { price.record(rows: rows, seconds: seconds) }

    private mutating func update(_ adapter: AdapterIdentity?, _ body: (inout Record) -> Void) {
        clock += 1
        if records[adapter] == nil, records.count >= Self.mostRecords,
            let oldest = records.min(by: { $0.value.lastUsed < $1.value.lastUsed })?.key
        {
            records[oldest] = nil
        }
        body(&records[adapter, default: Record()])
        records[adapter]?.lastUsed = clock
    }
}

/// Tokens that may follow those that are known.
struct Guess {
    let tokens: [Int]
    /// Whether they come from the text itself, and not from an earlier one.
    let isOwn: Bool

    func first(_ count: Int) -> Guess { Guess(tokens: Array(tokens.prefix(count)), isOwn: isOwn) }
}

/// A guess that may be made, and how likely each of its tokens is right if those before it are.
struct Proposal {
    let guess: Guess
    let likelihood: Double
}

/// What became of a guess.
struct SettledGuess {
    let count: Int
    let accepted: Int
    let isOwn: Bool
    /// Whether one was wrong; else the text ended before, or all were right.
    let isWrong: Bool
}

/// How likely a guessed token is right, if those before it are.
struct Likelihood {
    private static let weight = 0.15
    private static let recovery = 0.0005
    private(set) var value = 0.4

    mutating func record(_ guess: SettledGuess) {
        for _ in 0..<guess.accepted { value += Self.weight * (1 - value) }
        if guess.isWrong { value -= Self.weight * value }
    }

    /// Nothing is certain: a row that costs a whole token is never worth a guess.
    mutating func recover() { value = min(value + Self.recovery, 0.999) }
}
