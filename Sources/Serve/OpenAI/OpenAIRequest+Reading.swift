import DoraRuntime
package import DoraText

extension OpenAIRequest {
    /// - Throws: `OpenAIError` `.invalidRequest`, `model_not_found`
    package init(
        _ object: JSONObject, to endpoint: OpenAIEndpoint, options: OpenAIOptions
    ) throws(OpenAIError) {
        let reader = try OpenAIReader(object, endpoint, refusesUnknown: options.refusesUnknownFields)
        let prompts = try endpoint == .chat ? [.chat(reader.conversation())] : reader.prompts()
        self.init(endpoint, baseName: options.baseName, prompts: prompts)
        ignored = reader.ignored
        model = reader["model"]?.string
        adapter = try Self.adapter(model, baseName: options.baseName)
        let most = reader["max_completion_tokens"] ?? reader["max_tokens"]
        maximumTokens = most?.int ?? maximumTokens
        stops = try reader.stops()
        stopIDs = try reader.stopIDs()
        ignoresEOS = reader.flag("ignore_eos")
        addsSpecialTokens = reader["add_special_tokens"]?.bool ?? addsSpecialTokens
        returnsTokenIDs = reader.flag("return_token_ids")
        spellsTokensAsIDs = reader.flag("return_tokens_as_token_ids")
        hasReasoningEffort = reader["reasoning_effort"] != nil
        echoes = reader.flag("echo")
        logprobs = try reader.logprobs()
        try reader.checkFormat()
        choices = try reader.choices()
        usesGuidedChoice = reader["guided_choice"] != nil
        if choices != nil {
            // One is given whole, and ends by itself.
            let limits = ["max_tokens", "max_completion_tokens", "stop", "stop_token_ids", "ignore_eos"]
            ignored += limits.filter { reader[$0] != nil }
            if scoresPrompt {
                throw .unsupported(
                    "echo", isValue: true, "\"echo\" with \"logprobs\" goes with free text only")
            }
        }
        template = reader["chat_template"]?.string
        if template != nil && !options.trustsRequestTemplate {
            throw .unsupported(
                "chat_template", isValue: false,
                "\"chat_template\" of a request is not trusted; the model's own is used")
        }
        (streams, includesUsage) = try reader.streaming(ignoring: &ignored)
        if streams && !options.allowsStreams {
            throw .unsupported("stream", isValue: true, "the answer is one object here; leave \"stream\" out")
        }
        if streams && scoresPrompt {
            throw .unsupported(
                "stream", isValue: true, "a prompt's log probabilities are not streamed; leave \"stream\" out"
            )
        }
    }

    /// A name that cannot be one is as unknown as any other.
    private static func adapter(_ model: String?, baseName: String) throws(OpenAIError) -> AdapterChoice {
        guard let model else { return .standard }
        if model == baseName { return .base }
        do { return try AdapterChoice(model) } catch {
            throw OpenAIError(
                .notFound, "model_not_found", "there is no model \"\(model.prefix(200))\"", param: "model")
        }
    }
}

/// The members of a request's body, checked against the table.
struct OpenAIReader {
    private let object: JSONObject
    private let endpoint: OpenAIEndpoint
    private(set) var ignored: [String] = []

    init(
        _ object: JSONObject, _ endpoint: OpenAIEndpoint, refusesUnknown: Bool
    ) throws(OpenAIError) {
        self.object = object
        self.endpoint = endpoint
        for (name, value) in object.members where value != .null {
            guard let field = OpenAIFieldTable.field(name, in: endpoint) else {
                if refusesUnknown {
                    throw .unsupported(name, isValue: false, "there is no field \"\(name)\"")
                }
                ignored.append(name)
                continue
            }
            if try field.isIgnored(value, as: name) { ignored.append(name) }
        }
    }

    /// Null is as good as nothing.
    subscript(name: String) -> JSONValue? { object[name].flatMap { $0 == .null ? nil : $0 } }

    func flag(_ name: String) -> Bool { self[name]?.bool ?? false }

    private static let most = 64

    func stops() throws(OpenAIError) -> [String] {
        guard let value = self["stop"] else { return [] }
        let stops = value.string.map { [$0] } ?? value.array?.all(\.string)
        guard let stops, stops.count <= Self.most, !stops.contains("") else {
            throw .invalid("stop", "must be a string or at most \(Self.most) strings, none of them empty")
        }
        return stops
    }

    func stopIDs() throws(OpenAIError) -> [Int] {
        guard let value = self["stop_token_ids"] else { return [] }
        guard let ids = value.array?.all(\.int), ids.count <= Self.most, ids.allSatisfy({ $0 >= 0 }) else {
            throw .invalid(
                "stop_token_ids", "must be at most \(Self.most) token ids, none of them negative")
        }
        return ids
    }

    func logprobs() throws(OpenAIError) -> Int? {
        if endpoint == .completions { return self["logprobs"]?.int }
        let top = self["top_logprobs"]?.int
        if flag("logprobs") { return top ?? 0 }
        if top == nil { return nil }
        throw .invalid("top_logprobs", "needs \"logprobs\": true")
    }

    func checkFormat() throws(OpenAIError) {
        guard let format = self["response_format"]?.object else { return }
        switch format["type"]?.string {
        case "text": return
        case "json_object", "json_schema":
            throw .unsupported(
                "response_format", isValue: true,
                "no format is enforced; an answer is free text or one of choices")
        default: throw .invalid("response_format", "must have the type \"text\"")
        }
    }

    private static let mostChoices = 1024

    func choices() throws(OpenAIError) -> [String]? {
        var found = self["guided_choice"].map { ("guided_choice", $0) }
        for (name, value) in self["structured_outputs"]?.object?.members ?? []
        where value != .null && value != .bool(false) {
            let place = "structured_outputs.\(name)"
            guard name == "choice" else {
                throw .unsupported(place, isValue: false, "\"\(place)\" is not supported; \"choice\" is")
            }
            if found != nil { throw .invalid(place, "and \"guided_choice\" exclude each other") }
            found = (place, value)
        }
        guard let (place, value) = found else { return nil }
        guard let choices = value.array?.all(\.string), 1...Self.mostChoices ~= choices.count,
            !choices.contains("")
        else { throw .invalid(place, "must be 1 to \(Self.mostChoices) strings, none of them empty") }
        return choices
    }

    func streaming(ignoring ignored: inout [String]) throws(OpenAIError) -> (streams: Bool, usage: Bool) {
        let streams = flag("stream")
        guard let options = self["stream_options"]?.object else { return (streams, false) }
        guard streams else { throw .invalid("stream_options", "needs \"stream\": true") }
        var usage = false
        for (name, value) in options.members where value != .null {
            let place = "stream_options.\(name)"
            switch name {
            case "include_usage":
                guard let flag = value.bool else { throw .invalid(place, "must be true or false") }
                usage = flag
            case "include_obfuscation": continue
            default: if !value.isFalsy { ignored.append(place) }
            }
        }
        return (streams, usage)
    }
}

extension [JSONValue] {
    /// Each as a value of a kind; nil if any is none.
    func all<Value>(_ read: (JSONValue) -> Value?) -> [Value]? {
        let values = compactMap(read)
        return values.count == count ? values : nil
    }
}
