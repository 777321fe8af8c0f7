import DoraLoader

/// What to generate from a prompt.
package struct GenerationRequest: Sendable {
    package var prompt: [Int]
    package var maximumTokens: Int
    package var stops: [String]
    package var ignoresEOS: Bool
    /// How many alternatives to report per token; nil for no log probabilities.
    package var logprobs: Int?

    package init(
        prompt: [Int], maximumTokens: Int = 256, stops: [String] = [], ignoresEOS: Bool = false,
        logprobs: Int? = nil
    ) {
        self.prompt = prompt
        self.maximumTokens = maximumTokens
        self.stops = stops
        self.ignoresEOS = ignoresEOS
        self.logprobs = logprobs
    }
}

extension GenerationRequest {
    /// Whether a model can take the prompt.
    static func check(_ prompt: [Int], vocabularySize: Int, context: Int) throws(RuntimeError) {
        guard !prompt.isEmpty else { throw .emptyPrompt }
        if let id = prompt.first(where: { $0 < 0 || $0 >= vocabularySize }) {
            throw .tokenOutOfRange(id: id, vocabularySize: vocabularySize)
        }
        guard prompt.count <= context else { throw .promptTooLong(tokens: prompt.count, context: context) }
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
        /// An EOS id or a stop string.
        case stop
        /// The maximum of tokens, or the end of the context.
        case length
        /// The caller did not want more.
        case cancelled
        /// Log probabilities were asked for, and no text.
        case scored
    }

    /// The EOS that ended the text included.
    package internal(set) var tokenIDs: [Int] = []
    /// Nil without a tokenizer.
    package internal(set) var text: String?
    package internal(set) var logprobs: [TokenLogprob] = []
    package internal(set) var finishReason = FinishReason.length
    package internal(set) var prefillTime = Duration.zero
    package internal(set) var decodeTime = Duration.zero
}
