import Glibc

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

    /// What a guess must be likely to gain for each token that it costs: costs are estimates.
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

    /// Lets a sequence guess the tokens behind its next ones, where that is likely to pay.
    /// - Parameters:
    ///   - own: how likely it repeats itself.
    ///   - most: rows that there is room for.
    ///   - tokens: that the step makes without.
    /// - Returns: the rows that were added.
    mutating func guess(
        _ sequence: inout any RunningRequest, of adapter: AdapterIdentity?, own: inout Likelihood,
        atMost most: Int, besides tokens: Int
    ) -> Int {
        let most = min(most, limit)
        guard most > 0 else { return 0 }
        let price = min(1, Self.margin * price.ofRow(besides: tokens))
        var record = records[adapter]
        guard let guess = sequence.guess(atMost: most, others: record?.texts) else { return 0 }
        let count = min(
            guess.tokens.count,
            guess.isOwn ? own.count(at: price) : record?.others.count(at: price) ?? 0)
        if count == 0 {
            // So that it is tried again some time.
            if guess.isOwn { own.recover() } else { record?.others.recover() }
            if let record { records[adapter] = record }
            return 0
        }
        sequence.take(Guess(tokens: Array(guess.tokens.prefix(count)), isOwn: guess.isOwn))
        return count
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
    private var value = 0.4

    mutating func record(_ guess: SettledGuess) {
        for _ in 0..<guess.accepted { value += Self.weight * (1 - value) }
        if guess.isWrong { value -= Self.weight * value }
    }

    mutating func recover() { value += Self.recovery }

    /// How many guesses are each likely enough.
    func count(at price: Double) -> Int {
        guard value > price else { return 0 }
        // The logarithm of a value near 1 is near 0.
        return Int(min(64, log(price) / log(min(value, 0.999))))
    }
}
