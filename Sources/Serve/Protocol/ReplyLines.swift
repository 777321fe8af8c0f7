import DoraRuntime

/// The lines that answer a JSON request, each one object. Shapes as in `dora-generate --json`.
struct PieceLine: Encodable {
    let id: RequestID?
    let text: String
    let token_ids: [Int]
}

/// The one last line of a `generate`.
struct CompletionLine: Encodable {
    struct Timing: Encodable {
        let queue: Double
        let merge: Double
        let prefill: Double
        let decode: Double
    }

    struct Usage: Encodable {
        let prompt_tokens: Int
        let cached_tokens: Int
        let completion_tokens: Int
        let accepted_tokens: Int
        let total_tokens: Int
    }

    let id: RequestID?
    let reply: EngineReply
    let hasLogprobs: Bool

    enum CodingKeys: String, CodingKey {
        case id, done, text, token_ids, logprobs, choice, choices, finish_reason, adapter, usage, timing
    }

    func encode(to encoder: any Encoder) throws {
        let completion = reply.completion
        let made = completion.tokenIDs.count
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(true, forKey: .done)
        try container.encode(completion.text, forKey: .text)
        try container.encode(completion.tokenIDs, forKey: .token_ids)
        if hasLogprobs {
            try container.encode(completion.logprobs.map(Reply.Logprob.init(value:)), forKey: .logprobs)
        }
        try container.encodeIfPresent(completion.choice?.index, forKey: .choice)
        try container.encodeIfPresent(
            completion.choice?.scores.map(ScoreReply.continuations), forKey: .choices)
        try container.encode(completion.finishReason.rawValue, forKey: .finish_reason)
        try container.encode(reply.adapter?.description, forKey: .adapter)
        try container.encode(
            Usage(
                prompt_tokens: reply.promptTokens, cached_tokens: reply.cachedTokens, completion_tokens: made,
                accepted_tokens: completion.acceptedTokens,
                total_tokens: reply.promptTokens + made),
            forKey: .usage)
        try container.encode(
            Timing(
                queue: reply.queueTime.seconds, merge: reply.mergeTime.seconds,
                prefill: completion.prefillTime.seconds, decode: completion.decodeTime.seconds),
            forKey: .timing)
    }
}

/// The one last line of a request for scores. Without scores if it was cancelled.
struct ScoreLine: Encodable {
    struct Timing: Encodable {
        let queue: Double
        let merge: Double
        let score: Double
    }

    struct Usage: Encodable {
        let prompt_tokens: Int
        let cached_tokens: Int
        let scored_tokens: Int
    }

    let id: RequestID?
    let reply: EngineReply

    enum CodingKeys: String, CodingKey { case id, done, finish_reason, adapter, usage, timing }

    func encode(to encoder: any Encoder) throws {
        try reply.scores.map(ScoreReply.init)?.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(true, forKey: .done)
        try container.encode(reply.completion.finishReason.rawValue, forKey: .finish_reason)
        try container.encode(reply.adapter?.description, forKey: .adapter)
        try container.encode(
            Usage(
                prompt_tokens: reply.promptTokens, cached_tokens: reply.cachedTokens,
                scored_tokens: reply.scores?.request.scoredTokens ?? 0),
            forKey: .usage)
        try container.encode(
            Timing(
                queue: reply.queueTime.seconds, merge: reply.mergeTime.seconds,
                score: reply.completion.prefillTime.seconds),
            forKey: .timing)
    }
}

/// The one last line of any other operation.
struct ResultLine<Result: Encodable>: Encodable {
    let id: RequestID?
    let done = true
    let result: Result

    enum CodingKeys: String, CodingKey { case id, done, result }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(done, forKey: .done)
        try container.encode(result, forKey: .result)
    }
}

/// The one last line of what could not be done.
struct ErrorLine: Encodable {
    struct Problem: Encodable {
        let error: EngineError

        enum CodingKeys: String, CodingKey { case type, code, message, param }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(error.kind.rawValue, forKey: .type)
            try container.encode(error.code, forKey: .code)
            try container.encode(error.message, forKey: .message)
            try container.encode(error.param, forKey: .param)
        }
    }

    let id: RequestID?
    let error: EngineError

    enum CodingKeys: String, CodingKey { case id, done, error }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(true, forKey: .done)
        try container.encode(Problem(error: error), forKey: .error)
    }
}
