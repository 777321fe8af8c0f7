/// What to score: the tokens of a prompt, or continuations of it.
package struct ScoreRequest: Sendable, Equatable {
    package var prompt: [Int]
    /// Each as if it alone stood behind the prompt; nil to score the prompt's own tokens after the first.
    package var continuations: [[Int]]?
    /// How many alternatives to report per token.
    package var top: Int

    package init(prompt: [Int], continuations: [[Int]]? = nil, top: Int = 0) {
        self.prompt = prompt
        self.continuations = continuations
        self.top = top
    }

    /// How many tokens get a log probability.
    package var scoredTokens: Int {
        continuations.map { $0.reduce(0) { $0 + $1.count } } ?? max(0, prompt.count - 1)
    }

    /// Of the sequences that are scored.
    var lengths: [Int] { continuations?.map { prompt.count + $0.count } ?? [prompt.count] }

    /// Whether a model can score this.
    func check(vocabularySize: Int, context: Int) throws(RuntimeError) {
        try GenerationRequest.check(prompt, vocabularySize: vocabularySize, context: context)
        for (index, continuation) in (continuations ?? []).enumerated() {
            guard !continuation.isEmpty else { throw .emptyContinuation(index) }
            if let id = continuation.first(where: { $0 < 0 || $0 >= vocabularySize }) {
                throw .continuationOutOfRange(index, id: id, vocabularySize: vocabularySize)
            }
            let tokens = prompt.count + continuation.count
            guard tokens <= context else {
                throw .continuationTooLong(index, tokens: tokens, context: context)
            }
        }
    }
}

/// The log probabilities that a `ScoreRequest` asked for.
package struct Scores: Sendable, Equatable {
    package let request: ScoreRequest
    /// One list for each continuation; for a prompt, one.
    package let lists: [[TokenLogprob]]
}
