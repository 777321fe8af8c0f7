/// Texts as tokens, and where each three of them stand: what followed them there may follow them again.
///
/// Bounded: when there is too much, the older half is forgotten.
struct TokenHistory {
    /// What a text may go on with.
    struct Match {
        let tokens: [Int]
        /// How many tokens before them are alike.
        let length: Int
    }

    /// Tokens that must be alike.
    private static let order = 3
    private static let mostCompared = 32
    private static let mostPlaces = 8
    /// Stands between texts; no token.
    private static let border = -1

    private let limit: Int
    private var tokens: [Int] = []
    /// By three tokens: the index behind them, where they stand last. Others may have the same key.
    private var places: [Int: Int] = [:]
    /// By such an index: the one before it with the same key; -1 for none.
    private var earlier = [-1]

    /// - Parameter limit: tokens that are kept at most.
    init(limit: Int = .max) { self.limit = limit }

    mutating func append(_ token: Int) {
        if tokens.count >= limit { forgetOlderHalf() }
        tokens.append(token)
        let recent = tokens.suffix(Self.order)
        guard recent.count == Self.order, !recent.contains(Self.border) else { return earlier.append(-1) }
        let key = Self.key(recent)
        earlier.append(places[key] ?? -1)
        places[key] = tokens.count
    }

    mutating func append(_ tokens: some Sequence<Int>) { for token in tokens { append(token) } }

    /// Adds a text that nothing goes on with.
    mutating func add(text: some Sequence<Int>) {
        append(text)
        append(Self.border)
    }

    /// Its end, as far as it is compared.
    var recent: ArraySlice<Int> { tokens.suffix(Self.mostCompared) }

    /// What followed where most of what `text` ends with stands, the latest of several such places.
    /// - Parameters:
    ///   - count: tokens wanted at most.
    ///   - isOwn: whether this is `text` itself: then it may go on as it did once, again and again.
    func match(after text: ArraySlice<Int>, atMost count: Int, isOwn: Bool) -> Match? {
        let recent = text.suffix(Self.order)
        guard count > 0, recent.count == Self.order else { return nil }
        var best: (place: Int, length: Int)?
        var place = places[Self.key(recent)] ?? -1
        for _ in 0..<Self.mostPlaces where place >= 0 {
            // Nothing follows at the end of a text; of this one, what it has of itself.
            if place < tokens.count, tokens[place] != Self.border {
                let length = alike(before: place, text)
                if length >= Self.order, length > best?.length ?? 0 { best = (place, length) }
            }
            place = earlier[place]
        }
        guard let best else { return nil }
        var found: [Int] = []
        while found.count < count {
            let index = best.place + found.count
            let token = index < tokens.count ? tokens[index] : found[index - tokens.count]
            if token == Self.border || (index >= tokens.count && !isOwn) { break }
            found.append(token)
        }
        return found.isEmpty ? nil : Match(tokens: found, length: best.length)
    }

    private func alike(before place: Int, _ text: ArraySlice<Int>) -> Int {
        var length = 0
        let most = min(Self.mostCompared, place, text.count)
        while length < most, tokens[place - 1 - length] == text[text.endIndex - 1 - length] { length += 1 }
        return length
    }

    private mutating func forgetOlderHalf() {
        let rest = tokens.suffix(limit / 2)
        self = TokenHistory(limit: limit)
        append(rest)
    }

    private static func key(_ tokens: ArraySlice<Int>) -> Int {
        tokens.reduce(0) { ($0 &+ $1 &+ 1) &* 0x1E37_79B9_7F4A_7C15 }
    }
}
