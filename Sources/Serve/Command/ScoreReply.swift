package import DoraRuntime

/// Log probabilities as `dora-generate --score` prints them: of a prompt's own tokens, or of its continuations.
package struct ScoreReply: Encodable, Sendable {
    struct Continuation: Encodable {
        let token_ids: [Int]
        let logprobs: [Reply.Logprob]
        let sum: Double
    }

    private let scores: Scores

    package init(_ scores: Scores) { self.scores = scores }

    /// Sum of the natural logarithms.
    private static func sum(_ list: [TokenLogprob]) -> Double { list.reduce(0) { $0 + $1.logprob } }

    static func continuations(_ scores: Scores) -> [Continuation] {
        zip(scores.request.continuations ?? [], scores.lists).map { ids, list in
            Continuation(token_ids: ids, logprobs: list.map(Reply.Logprob.init(value:)), sum: sum(list))
        }
    }

    /// One line for each token, its id and its log probability; or for each continuation, its sum and its text.
    package func lines(continuations: [String]) -> [String] {
        guard scores.request.continuations == nil else {
            return zip(scores.lists, continuations).map { Self.line(sum: Self.sum($0), continuation: $1) }
        }
        return (scores.lists.first ?? []).map { Self.line(id: $0.id, logprob: $0.logprob) }
    }

    static func line(id: Int, logprob: Double) -> String { "\(id)\t\(logprob)\n" }

    static func line(sum: Double, continuation: String) -> String {
        "\(sum)\t\(PlainText.escape(continuation))\n"
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case token_ids, logprobs, sum, perplexity, continuations
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(scores.request.prompt, forKey: .token_ids)
        if scores.request.continuations != nil {
            try container.encode(Self.continuations(scores), forKey: .continuations)
            return
        }
        let list = scores.lists.first ?? []
        let sum = Self.sum(list)
        let perplexity = exponential(-sum / Double(max(1, list.count)))
        try container.encode(list.map(Reply.Logprob.init(value:)), forKey: .logprobs)
        try container.encode(sum, forKey: .sum)
        // JSON has no infinity.
        try container.encode(list.isEmpty || !perplexity.isFinite ? nil : perplexity, forKey: .perplexity)
    }
}
