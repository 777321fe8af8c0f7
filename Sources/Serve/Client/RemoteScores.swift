package import DoraText

/// Text, or the ids as they are: one of several in a line.
struct PromptItem: Encodable {
    let prompt: Prompt

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch prompt {
        case .text(let text): try container.encode(text)
        case .tokenIDs(let ids): try container.encode(ids)
        case .chat: try container.encodeNil()  // one of several is no conversation
        }
    }
}

/// A `score` line.
package struct ScoreRequestLine: Encodable, Sendable {
    private let prompt: Prompt
    private let continuations: [Prompt]?
    private let adapter: String?
    private let logprobs: Int?
    private let addsSpecialTokens: Bool

    /// - Parameters:
    ///   - continuations: nil to score the prompt itself.
    ///   - adapter: nil for the server's default; empty for the base.
    package init(
        _ prompt: Prompt, continuations: [Prompt]?, adapter: String?, logprobs: Int?, addsSpecialTokens: Bool
    ) {
        self.prompt = prompt
        self.continuations = continuations
        self.adapter = adapter
        self.logprobs = logprobs
        self.addsSpecialTokens = addsSpecialTokens
    }

    /// Members of a conversation, which no encoder would keep in their order.
    package var conversation: JSONObject {
        if case .chat(let conversation) = prompt { conversation.object } else { JSONObject() }
    }

    private enum CodingKeys: String, CodingKey {
        case id, score, prompt, token_ids, continuations, adapter, logprobs, no_special
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(1, forKey: .id)
        try container.encode(true, forKey: .score)
        switch prompt {
        case .text(let text): try container.encode(text, forKey: .prompt)
        case .tokenIDs(let ids): try container.encode(ids, forKey: .token_ids)
        case .chat: break
        }
        try container.encodeIfPresent(continuations?.map(PromptItem.init), forKey: .continuations)
        if let adapter {
            try container.encode(adapter.isEmpty ? nil : adapter, forKey: .adapter)
        }
        try container.encodeIfPresent(logprobs, forKey: .logprobs)
        try container.encode(!addsSpecialTokens, forKey: .no_special)
    }
}

/// A server's scores in the shape of `dora-generate --score`.
package struct RemoteScores: Encodable, Sendable {
    private let last: JSONObject

    /// - Parameter last: the terminal line of a `score`.
    package init(last: JSONObject) { self.last = last }

    package func lines(continuations: [String]) -> [String] {
        if let found = last["continuations"]?.array {
            return zip(found, continuations).map { value, text in
                ScoreReply.line(sum: value.object?["sum"]?.double ?? .nan, continuation: text)
            }
        }
        return (last["logprobs"]?.array ?? []).compactMap(\.object).map { entry in
            ScoreReply.line(id: entry["id"]?.int ?? -1, logprob: entry["logprob"]?.double ?? .nan)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ScoreReply.CodingKeys.self)
        for key in ScoreReply.CodingKeys.allCases {
            if let value = last[key.rawValue] { try container.encode(value, forKey: key) }
        }
    }
}
