package import DoraRuntime
import FoundationEssentials

/// A completion as JSON: one object of `dora-generate --json`.
package struct Reply: Encodable, Sendable {
    package struct Usage: Encodable, Sendable {
        let prompt_tokens: Int
        let completion_tokens: Int
        let accepted_tokens: Int
        let total_tokens: Int
    }

    /// Seconds.
    package struct Timing: Encodable, Sendable {
        let load: Double
        let merge: Double
        let prefill: Double
        let decode: Double
    }

    /// `top` holds pairs of id and log probability.
    struct Logprob: Encodable {
        let value: TokenLogprob

        enum CodingKeys: String, CodingKey { case id, logprob, top }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(value.id, forKey: .id)
            try container.encode(value.logprob, forKey: .logprob)
            var pairs = container.nestedUnkeyedContainer(forKey: .top)
            for alternative in value.top {
                var pair = pairs.nestedUnkeyedContainer()
                try pair.encode(alternative.id)
                try pair.encode(alternative.logprob)
            }
        }
    }

    let promptTokens: Int
    let completion: Completion
    let hasLogprobs: Bool
    let timing: Timing
    let model: String
    let adapter: String?

    package init(
        prompt: [Int], completion: Completion, hasLogprobs: Bool, loadTime: Duration, mergeTime: Duration,
        model: String, adapter: String?
    ) {
        promptTokens = prompt.count
        self.completion = completion
        self.hasLogprobs = hasLogprobs
        timing = Timing(
            load: loadTime.seconds, merge: mergeTime.seconds, prefill: completion.prefillTime.seconds,
            decode: completion.decodeTime.seconds)
        self.model = model
        self.adapter = adapter
    }

    enum CodingKeys: String, CodingKey {
        case prompt_tokens, token_ids, text, finish_reason, logprobs, choice, choices, usage, timing
        case tokens_per_second, model, adapter
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let generated = completion.tokenIDs.count
        try container.encode(promptTokens, forKey: .prompt_tokens)
        try container.encode(completion.tokenIDs, forKey: .token_ids)
        try container.encode(completion.text, forKey: .text)
        try container.encode(completion.finishReason.rawValue, forKey: .finish_reason)
        try container.encode(
            hasLogprobs ? completion.logprobs.map(Logprob.init(value:)) : nil, forKey: .logprobs)
        try container.encodeIfPresent(completion.choice?.index, forKey: .choice)
        try container.encodeIfPresent(
            completion.choice?.scores.map(ScoreReply.continuations), forKey: .choices)
        try container.encode(
            Usage(
                prompt_tokens: promptTokens, completion_tokens: generated,
                accepted_tokens: completion.acceptedTokens,
                total_tokens: promptTokens + generated),
            forKey: .usage)
        try container.encode(timing, forKey: .timing)
        try container.encode(completion.decodeRate, forKey: .tokens_per_second)
        try container.encode(model, forKey: .model)
        try container.encode(adapter, forKey: .adapter)
    }
}

extension Encodable {
    /// One line of JSON, keys sorted.
    package var jsonLine: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
