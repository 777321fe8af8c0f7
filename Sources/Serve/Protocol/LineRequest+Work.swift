package import DoraRuntime
import DoraText

/// What a line may ask of the engine.
protocol LineWork: Sendable {
    var adapter: AdapterChoice { get }
    /// Whether pieces of the text are wanted as they are made.
    var streams: Bool { get }
    /// What the engine is asked: prompts become token ids.
    func work(in language: Language, model: String) throws -> EngineRequest.Work
    /// The line that tells a client of an event; nil if there is nothing to tell.
    func line(for event: EngineEvent, id: RequestID?) -> (any Encodable)?
}

extension LineRequest.Generate: LineWork {
    func work(in language: Language, model: String) throws -> EngineRequest.Work {
        let ids = try prompt.encoded(in: language, model: model, addingSpecialTokens: addsSpecialTokens)
        if let choices {
            let request = GenerationRequest(
                prompt: ids, choices: try Choices(choices, in: language, model: model), logprobs: logprobs)
            try request.scoredChoices?.checkReplySize()
            return .generate(request)
        }
        return .generate(
            GenerationRequest(
                prompt: ids, maximumTokens: maximumTokens, stops: stops, stopIDs: stopIDs,
                ignoresEOS: ignoresEOS, logprobs: logprobs))
    }

    func line(for event: EngineEvent, id: RequestID?) -> (any Encodable)? {
        switch event {
        case .started: nil
        case .piece(let text, let tokenIDs, _): PieceLine(id: id, text: text, token_ids: tokenIDs)
        case .finished(let reply): CompletionLine(id: id, reply: reply, hasLogprobs: logprobs != nil)
        case .failed(let error): ErrorLine(id: id, error: error)
        }
    }
}

extension LineRequest.Score: LineWork {
    var streams: Bool { false }

    func line(for event: EngineEvent, id: RequestID?) -> (any Encodable)? {
        switch event {
        case .started, .piece: nil
        case .finished(let reply): ScoreLine(id: id, reply: reply)
        case .failed(let error): ErrorLine(id: id, error: error)
        }
    }

    func work(in language: Language, model: String) throws -> EngineRequest.Work {
        let request = try ScoreRequest(
            prompt, continuations: continuations, top: logprobs, addingSpecialTokens: addsSpecialTokens,
            in: language, model: model)
        try request.checkReplySize()
        return .score(request)
    }
}

extension Choices {
    /// A choice's ids are those of its own text, without special tokens, behind the prompt's.
    package init(_ choices: [Prompt], in language: Language, model: String) throws(Prompt.Problem) {
        var tokens: [[Int]] = []
        var texts: [String?] = []
        for choice in choices {
            let ids = try choice.encoded(in: language, model: model, addingSpecialTokens: false)
            tokens.append(ids)
            switch choice {
            case .text(let text): texts.append(text)
            case .tokenIDs, .chat: texts.append(language.tokenizer?.decode(ids, skippingSpecialTokens: true))
            }
        }
        self.init(tokens, texts: texts)
    }
}

extension ScoreRequest {
    /// Log probabilities of one reply; a line of more would be as long as the memory that a connection may fill.
    private static let mostLogprobs = 200_000

    func checkReplySize() throws(EngineError) {
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
            case .template(let error):
                (error.kind == .messages ? "bad_messages" : "chat_template_error", "messages")
            default: ("bad_prompt", "prompt")
            }
        self.init(.invalidRequest, code, "\(problem)", param: param)
    }
}
