package import DoraText

/// A server's answer in the shape of `dora-generate --json`.
package struct RemoteReply: Encodable, Sendable {
    private let hello: JSONObject
    private let last: JSONObject

    /// - Parameters:
    ///   - hello: the result of the greeting, which names the model.
    ///   - last: the terminal line of a `generate`.
    package init(hello: JSONObject, last: JSONObject) {
        self.hello = hello
        self.last = last
    }

    package var tokenIDs: [Int] { (last["token_ids"]?.array ?? []).compactMap(\.int) }
    package var text: String? { last["text"]?.string }

    /// Whether the first token ended the text. With stop strings nobody can say: one may have begun the text.
    package func isEmptyForEOS(hasStops: Bool) -> Bool {
        text == "" && tokenIDs.count == 1 && last["finish_reason"]?.string == "stop" && !hasStops
    }

    enum CodingKeys: String, CodingKey {
        case prompt_tokens, token_ids, text, finish_reason, logprobs, choice, choices, usage, timing
        case tokens_per_second, model, adapter
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(last["usage"]?.object?["prompt_tokens"], forKey: .prompt_tokens)
        try container.encode(last["token_ids"], forKey: .token_ids)
        try container.encode(last["text"], forKey: .text)
        try container.encode(last["finish_reason"], forKey: .finish_reason)
        try container.encode(last["logprobs"], forKey: .logprobs)
        try container.encodeIfPresent(last["choice"], forKey: .choice)
        try container.encodeIfPresent(last["choices"], forKey: .choices)
        try container.encode(last["usage"], forKey: .usage)
        try container.encode(last["timing"], forKey: .timing)
        let steps = tokenIDs.count - 1
        let decode = last["timing"]?.object?["decode"]?.double ?? 0
        try container.encode(
            steps > 0 && decode > 0 ? Double(steps) / decode : nil, forKey: .tokens_per_second)
        try container.encode(hello["model"], forKey: .model)
        try container.encode(last["adapter"], forKey: .adapter)
    }
}

extension JSONValue: Encodable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package func encode(to encoder: any Encoder) throws {
        switch self {
        case .object(let object):
            var container = encoder.container(keyedBy: Key.self)
            for (key, value) in object.members { try container.encode(value, forKey: Key(stringValue: key)) }
        case .array(let values):
            var container = encoder.unkeyedContainer()
            for value in values { try container.encode(value) }
        default:
            var container = encoder.singleValueContainer()
            if let text = string {
                try container.encode(text)
            } else if let flag = bool {
                try container.encode(flag)
            } else if let number = int {
                try container.encode(number)
            } else if let number = double {
                try container.encode(number)
            } else {
                try container.encodeNil()
            }
        }
    }
}
