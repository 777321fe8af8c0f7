package import DoraRuntime
import DoraText

/// What the engine is asked.
extension OpenAIRequest {
    /// The work behind a choice of the reply.
    /// - Parameter model: what messages call the model.
    /// - Throws: `Prompt.Problem`, `EngineError`
    package func work(_ index: Int, in language: Language, model: String) throws -> EngineRequest.Work {
        let ids = try promptIDs(prompts[index], in: language, model: model)
        if let choices {
            let request = GenerationRequest(
                prompt: ids, choices: try Choices(choices.map(Prompt.text), in: language, model: model),
                logprobs: logprobs)
            try request.scoredChoices?.checkReplySize()
            return .generate(request)
        }
        var request = GenerationRequest(
            prompt: ids, maximumTokens: maximumTokens, stops: stops, stopIDs: stopIDs, ignoresEOS: ignoresEOS,
            logprobs: logprobs)
        guard scoresPrompt, let logprobs else { return .generate(request) }
        let score = ScoreRequest(prompt: ids, top: logprobs)
        try score.checkReplySize()
        if maximumTokens == 0 { return .score(score) }
        request.promptLogprobs = logprobs
        return .generate(request)
    }

    /// The tokens of its first prompt.
    /// - Throws: `Prompt.Problem`
    func tokens(in language: Language, model: String) throws -> [Int] {
        try prompts.first.map { try promptIDs($0, in: language, model: model) } ?? []
    }

    private func promptIDs(_ prompt: Prompt, in language: Language, model: String) throws -> [Int] {
        guard case .chat(let conversation) = prompt else {
            return try prompt.encoded(in: language, model: model, addingSpecialTokens: addsSpecialTokens)
        }
        let text = try Self.rendered(conversation, by: template, in: language, model: model)
        return try Prompt.text(text).encoded(
            in: language, model: model, addingSpecialTokens: addsSpecialTokens)
    }

    /// The text that a chat's messages become.
    /// - Throws: `Prompt.Problem`; also if this is no chat.
    package func rendered(in language: Language, model: String) throws(Prompt.Problem) -> String {
        guard case .chat(let conversation)? = prompts.first else {
            throw .badConversation("completions have no template")
        }
        return try Self.rendered(conversation, by: template, in: language, model: model)
    }

    private static func rendered(
        _ conversation: Conversation, by template: String?, in language: Language, model: String
    ) throws(Prompt.Problem) -> String {
        guard let template else { return try Prompt.rendered(conversation, in: language, model) }
        let name = "chat_template"
        let format =
            language.chat?.with(template: template, named: name)
            ?? ChatFormat(ChatTemplateSet(template), source: name, specialTokens: [:])
        do { return try format.prompt(for: conversation) } catch { throw .template(error) }
    }
}
