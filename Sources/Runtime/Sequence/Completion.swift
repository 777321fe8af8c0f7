import DoraLoader
import DoraText

/// What to generate from a prompt.
package struct GenerationRequest: Sendable {
    package var prompt: [Int]
    /// `Int.max`: as many as the context, and the memory for it, hold.
    package var maximumTokens: Int
    /// The text ends before the first of these. One that is exactly a special token, which no text shows, ends it on
    /// that token's id.
    package var stops: [String]
    /// The text ends after any of these, also where `ignoresEOS` goes on.
    package var stopIDs: [Int]
    package var ignoresEOS: Bool
    /// How many alternatives to report per token; nil for no log probabilities.
    package var logprobs: Int?
    /// How many alternatives to report for each token of the prompt after the first, as a `ScoreRequest` would; nil not to
    /// score the prompt. Of no effect where the text is one of several, or none.
    package var promptLogprobs: Int?
    /// The text is one of these; then nothing else ends it.
    package private(set) var choices: Choices?

    /// Asks for one of several texts.
    package init(prompt: [Int], choices: Choices, logprobs: Int? = nil) {
        self.init(prompt: prompt, maximumTokens: choices.longest, logprobs: logprobs)
        self.choices = choices
    }

    package init(
        prompt: [Int], maximumTokens: Int = 256, stops: [String] = [], stopIDs: [Int] = [],
        ignoresEOS: Bool = false, logprobs: Int? = nil
    ) {
        self.prompt = prompt
        self.maximumTokens = maximumTokens
        self.stops = stops
        self.stopIDs = stopIDs
        self.ignoresEOS = ignoresEOS
        self.logprobs = logprobs
    }
}

extension GenerationRequest {
    /// Whether a model can answer this.
    func check(vocabularySize: Int, context: Int, eosIDs: [Int]) throws(RuntimeError) {
        try Self.check(prompt, vocabularySize: vocabularySize, context: context)
        if let id = stopIDs.first(where: { $0 < 0 || $0 >= vocabularySize }) {
            throw .stopOutOfRange(id: id, vocabularySize: vocabularySize)
        }
        try choices?.check(
            prompt: prompt.count, vocabularySize: vocabularySize, context: context, eosIDs: eosIDs)
    }

    /// The choices as continuations to score; nil unless their log probabilities are wanted.
    package var scoredChoices: ScoreRequest? {
        guard let choices, let logprobs else { return nil }
        return ScoreRequest(prompt: prompt, continuations: choices.tokens, top: logprobs)
    }

    /// Whether a model can take the prompt.
    static func check(_ prompt: [Int], vocabularySize: Int, context: Int) throws(RuntimeError) {
        guard !prompt.isEmpty else { throw .emptyPrompt }
        if let id = prompt.first(where: { $0 < 0 || $0 >= vocabularySize }) {
            throw .tokenOutOfRange(id: id, vocabularySize: vocabularySize)
        }
        guard prompt.count <= context else { throw .promptTooLong(tokens: prompt.count, context: context) }
    }
}

extension GenerationRequest {
    /// All that end the text: `eosIDs` unless they are to be ignored, and what the request itself names.
    func ends(eosIDs: Set<Int>, tokenizer: (any Tokenizer)?) -> Set<Int> {
        var ends = ignoresEOS ? [] : eosIDs
        ends.formUnion(stopIDs)
        if let tokenizer { ends.formUnion(stops.compactMap(tokenizer.specialID)) }
        return ends
    }
}

extension ModelConfiguration {
    /// Positions that a sequence may have: what was asked for, or the model's own maximum.
    func checkedContext(_ context: Int?) throws(RuntimeError) -> Int {
        if let context, context > maximumPositions {
            throw .contextTooLong(context, maximum: maximumPositions)
        }
        return context ?? maximumPositions
    }
}

package struct Completion: Sendable {
    package enum FinishReason: String, Sendable {
        /// An EOS or stop id, a stop string, or the end of a choice.
        case stop
        /// The maximum of tokens, or the end of the context.
        case length
        /// The caller did not want more.
        case cancelled
        /// Log probabilities were asked for, and no text.
        case scored
    }

    /// Which of the texts that were to choose from.
    package struct Choice: Sendable {
        package let index: Int
        /// Of all of them, if log probabilities were asked for.
        package let scores: Scores?
    }

    /// The EOS or stop id that ended the text included.
    package internal(set) var tokenIDs: [Int] = []
    /// Nil without a tokenizer.
    package internal(set) var text: String?
    /// Of the tokens, those that were guessed before.
    package internal(set) var acceptedTokens = 0
    package internal(set) var logprobs: [TokenLogprob] = []
    /// Of the prompt's tokens after the first, if they were asked for.
    package internal(set) var promptLogprobs: [TokenLogprob] = []
    /// The stop string that ended the text.
    package internal(set) var stopString: String?
    package internal(set) var choice: Choice?
    package internal(set) var finishReason = FinishReason.length
    package internal(set) var prefillTime = Duration.zero
    package internal(set) var decodeTime = Duration.zero
}
