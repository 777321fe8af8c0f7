package import DoraRuntime
package import DoraText

/// What the engine is asked: prompts become token ids.
extension LineRequest.Generate {
    func work(in language: Language, model: String) throws -> EngineRequest.Work {
        let ids = try prompt.encoded(in: language, model: model, addingSpecialTokens: addsSpecialTokens)
        return .generate(
            GenerationRequest(
                prompt: ids, maximumTokens: maximumTokens, stops: stops, stopIDs: stopIDs,
                ignoresEOS: ignoresEOS, logprobs: logprobs))
    }
}

extension LineRequest.Score {
    /// Log probabilities of one reply; a line of more would be as long as the memory that a connection may fill.
    private static let mostLogprobs = 200_000

    func work(in language: Language, model: String) throws -> EngineRequest.Work {
        let request = try ScoreRequest(
            prompt, continuations: continuations, top: logprobs, addingSpecialTokens: addsSpecialTokens,
            in: language, model: model)
        // An entry takes about as much as two of its alternatives.
        guard request.scoredTokens <= Self.mostLogprobs / (2 + logprobs) else {
            throw EngineError(
                .invalidRequest, "too_many_logprobs",
                "\(request.scoredTokens) tokens with \(logprobs) alternatives are more than one reply may hold; "
                    + "ask for fewer, or in several requests",
                param: "logprobs")
        }
        return .score(request)
    }
}

extension ScoreRequest {
    /// A continuation's ids are those of its own text, without special tokens, behind the prompt's.
    package init(
        _ prompt: Prompt, continuations: [Prompt]?, top: Int, addingSpecialTokens: Bool,
        in language: Language, model: String
    ) throws(Prompt.Problem) {
        self.init(
            prompt: try prompt.encoded(in: language, model: model, addingSpecialTokens: addingSpecialTokens),
            continuations: nil, top: top)
        guard let continuations else { return }
        var ids: [[Int]] = []
        for continuation in continuations {
            ids.append(try continuation.encoded(in: language, model: model, addingSpecialTokens: false))
        }
        self.continuations = ids
    }
}

extension EngineError {
    /// What a client is told of a prompt that cannot be put into tokens.
    init(_ problem: Prompt.Problem) {
        let (code, param) =
            switch problem {
            case .noTemplate: ("no_chat_template", "messages")
            case .template(let error): (error.kind == .messages ? "bad_messages" : "chat_template_error", "messages")
            default: ("bad_prompt", "prompt")
            }
        self.init(.invalidRequest, code, "\(problem)", param: param)
    }
}
