package import DoraLoader
package import DoraRuntime

/// What the engine is asked: prompts become token ids.
extension LineRequest.Generate {
    func work(by tokenizer: (any Tokenizer)?, model: String) throws -> EngineRequest.Work {
        let ids = try prompt.encoded(by: tokenizer, model: model, addingSpecialTokens: addsSpecialTokens)
        if let choices {
            let request = GenerationRequest(
                prompt: ids, choices: try Choices(choices, by: tokenizer, model: model), logprobs: logprobs)
            try request.scoredChoices?.checkReplySize()
            return .generate(request)
        }
        return .generate(
            GenerationRequest(
                prompt: ids, maximumTokens: maximumTokens, stops: stops, stopIDs: stopIDs,
                ignoresEOS: ignoresEOS, logprobs: logprobs))
    }
}

extension LineRequest.Score {
    func work(by tokenizer: (any Tokenizer)?, model: String) throws -> EngineRequest.Work {
        let request = try ScoreRequest(
            prompt, continuations: continuations, top: logprobs, addingSpecialTokens: addsSpecialTokens,
            by: tokenizer, model: model)
        try request.checkReplySize()
        return .score(request)
    }
}

extension Choices {
    /// A choice's ids are those of its own text, without special tokens, behind the prompt's.
    package init(_ choices: [Prompt], by tokenizer: (any Tokenizer)?, model: String) throws(Prompt.Problem) {
        var tokens: [[Int]] = []
        var texts: [String?] = []
        for choice in choices {
            let ids = try choice.encoded(by: tokenizer, model: model, addingSpecialTokens: false)
            tokens.append(ids)
            switch choice {
            case .text(let text): texts.append(text)
            case .tokenIDs: texts.append(tokenizer?.decode(ids, skippingSpecialTokens: true))
            }
        }
        self.init(tokens, texts: texts)
    }
}

extension ScoreRequest {
    /// Log probabilities of one reply; a line of more would be as long as the memory that a connection may fill.
    private static let mostLogprobs = 200_000

    fileprivate func checkReplySize() throws(EngineError) {
        // An entry takes about as much as two of its alternatives.
        guard scoredTokens > Self.mostLogprobs / (2 + top) else { return }
        throw EngineError(
            .invalidRequest, "too_many_logprobs",
            "\(scoredTokens) tokens with \(top) alternatives are more than one reply may hold; "
                + "ask for fewer, or in several requests",
            param: "logprobs")
    }

    /// A continuation's ids are those of its own text, without special tokens, behind the prompt's.
    package init(
        _ prompt: Prompt, continuations: [Prompt]?, top: Int, addingSpecialTokens: Bool,
        by tokenizer: (any Tokenizer)?, model: String
    ) throws(Prompt.Problem) {
        self.init(
            prompt: try prompt.encoded(by: tokenizer, model: model, addingSpecialTokens: addingSpecialTokens),
            continuations: nil, top: top)
        guard let continuations else { return }
        var ids: [[Int]] = []
        for continuation in continuations {
            ids.append(try continuation.encoded(by: tokenizer, model: model, addingSpecialTokens: false))
        }
        self.continuations = ids
    }
}
