import DoraLoader
package import DoraRuntime
import DoraText

/// One JSON line of a client, checked: every field is known and of its type.
package struct LineRequest: Equatable, Sendable {
    package struct Generate: Equatable, Sendable {
        package var prompt: Prompt
        package var adapter = AdapterChoice.standard
        package var maximumTokens = 256
        package var stops: [String] = []
        package var stopIDs: [Int] = []
        package var streams = false
        package var logprobs: Int?
        package var ignoresEOS = false
        package var addsSpecialTokens = true
        /// The text is one of these; then `maximumTokens`, `stops`, `stopIDs` and `ignoresEOS` mean nothing.
        package var choices: [Prompt]?

        package init(prompt: Prompt) { self.prompt = prompt }
    }

    package struct Score: Equatable, Sendable {
        package var prompt: Prompt
        /// Nil to score the prompt itself.
        package var continuations: [Prompt]?
        package var adapter = AdapterChoice.standard
        package var logprobs = 0
        package var addsSpecialTokens = true

        package init(prompt: Prompt) { self.prompt = prompt }
    }

    package enum Operation: Equatable, Sendable {
        case generate(Generate)
        case score(Score)
        case openAI(OpenAICall)
        case hello(token: String?)
        case cancel(RequestID)
        case adapters
        case load(AdapterOrder)
        case unload(String, disable: Bool)
        case ping
        case ready
        case stats
        case drain
    }

    package let id: RequestID?
    package let operation: Operation
}

/// A line that is no request. `id` is the client's, as far as it could be read.
package struct BadLine: Error, Equatable, Sendable {
    package let id: RequestID?
    package let error: EngineError
}

extension LineRequest {
    package init(line: [UInt8]) throws(BadLine) {
        let value: JSONValue
        do { value = try JSONValue(parsing: line) } catch {
            throw BadLine(id: nil, error: EngineError(.invalidRequest, "bad_json", "\(error)"))
        }
        guard let object = value.object else {
            throw BadLine(
                id: nil, error: EngineError(.invalidRequest, "bad_json", "a request is a JSON object"))
        }
        try self.init(object)
    }

    init(_ object: JSONObject) throws(BadLine) {
        var fields = RequestFields(object)
        let id: RequestID?
        do { id = try fields.id() } catch { throw BadLine(id: nil, error: error) }
        do {
            let name = try fields.string("op") ?? "generate"
            operation = try Self.operation(name, &fields)
            switch operation {
            case .score: try fields.end(of: "score")
            case .generate(let request) where request.choices != nil: try fields.end(of: "choices")
            default: try fields.end(of: name)
            }
        } catch { throw BadLine(id: id, error: error) }
        self.id = id
    }

    private static func operation(_ name: String, _ fields: inout RequestFields) throws(EngineError)
        -> Operation
    {
        switch name {
        case "generate":
            guard let score = try score(&fields) else { return .generate(try generate(&fields)) }
            return .score(score)
        case "openai":
            return .openAI(
                OpenAICall(url: try fields.requiredString("url"), body: try fields.requiredObject("body")))
        case "hello": return .hello(token: try fields.string("token"))
        case "cancel": return .cancel(try fields.requiredID("target"))
        case "adapters": return .adapters
        case "load":
            var order = AdapterOrder(name: try fields.requiredString("name"))
            order.path = try fields.string("path")
            order.isReplacement = try fields.bool("replace") ?? false
            order.expectedGeneration = try fields.int("expect_generation", in: 0...Int.max)
            order.isPinned = try fields.bool("pin") ?? false
            order.form = try fields.form("form")
            return .load(order)
        case "unload":
            return .unload(try fields.requiredString("name"), disable: try fields.bool("disable") ?? false)
        case "ping": return .ping
        case "ready": return .ready
        case "stats": return .stats
        case "drain": return .drain
        default:
            throw EngineError(.invalidRequest, "unknown_op", "there is no operation '\(name)'", param: "op")
        }
    }

    private static let mostStops = 64

    private static func prompt(_ fields: inout RequestFields) throws(EngineError) -> Prompt {
        switch (try fields.string("prompt"), try fields.ints("token_ids"), try fields.conversation()) {
        case (let text?, nil, nil): return .text(text)
        case (nil, let ids?, nil): return .tokenIDs(ids)
        case (nil, nil, let conversation?): return .chat(conversation)
        default:
            throw EngineError(
                .invalidRequest, "bad_request", "give one of \"prompt\", \"token_ids\" and \"messages\"",
                param: "prompt")
        }
    }

    /// Of continuations, or of choices.
    private static let mostContinuations = 1024

    /// Nil when nothing is to be scored.
    private static func score(_ fields: inout RequestFields) throws(EngineError) -> Score? {
        let isWanted = try fields.bool("score")
        let continuations = try fields.prompts("continuations", atMost: mostContinuations)
        guard isWanted == true || continuations != nil else { return nil }
        if isWanted == false {
            throw EngineError(
                .invalidRequest, "bad_request", "\"continuations\" are scored, and \"score\" is false",
                param: "score")
        }
        var request = Score(prompt: try prompt(&fields))
        request.continuations = continuations
        request.adapter = try fields.adapter()
        request.logprobs = try fields.int("logprobs", in: 0...1000) ?? 0
        request.addsSpecialTokens = try fields.bool("no_special").map { !$0 } ?? true
        return request
    }

    private static func generate(_ fields: inout RequestFields) throws(EngineError) -> Generate {
        var request = Generate(prompt: try prompt(&fields))
        request.adapter = try fields.adapter()
        request.logprobs = try fields.int("logprobs", in: 0...1000)
        request.streams = try fields.bool("stream") ?? false
        request.addsSpecialTokens = try fields.bool("no_special").map { !$0 } ?? true
        request.choices = try fields.prompts("choices", atMost: mostContinuations)
        // A choice is given whole, and ends by itself.
        if request.choices != nil { return request }
        request.maximumTokens = try fields.int("max_tokens", in: 0...Int.max) ?? request.maximumTokens
        request.stops = try fields.strings("stop") ?? []
        request.stopIDs = try fields.ints("stop_token_ids") ?? []
        request.ignoresEOS = try fields.bool("ignore_eos") ?? false
        // Each is looked for at every token, on the thread that everybody shares.
        if request.stops.count > mostStops || request.stops.contains("") {
            throw EngineError(
                .invalidRequest, "bad_request",
                "\"stop\" must be at most \(mostStops) strings, none of them empty",
                param: "stop")
        }
        if request.stopIDs.count > mostStops || request.stopIDs.contains(where: { $0 < 0 }) {
            throw EngineError(
                .invalidRequest, "bad_request",
                "\"stop_token_ids\" must be at most \(mostStops) token ids, none of them negative",
                param: "stop_token_ids")
        }
        return request
    }
}

/// The fields of a request, taken one by one; what nobody took is an error.
private struct RequestFields {
    private let object: JSONObject
    private var taken: Set<String> = []

    init(_ object: JSONObject) { self.object = object }

    private mutating func take(_ key: String) -> JSONValue? {
        taken.insert(key)
        return object[key]
    }

    private func wrong(_ key: String, _ expected: String) -> EngineError {
        EngineError(.invalidRequest, "bad_request", "\"\(key)\" must be \(expected)", param: key)
    }

    private mutating func typed<Value>(
        _ key: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(EngineError) -> Value? {
        guard let value = take(key), value != .null else { return nil }
        guard let found = read(value) else { throw wrong(key, expected) }
        return found
    }

    mutating func string(_ key: String) throws(EngineError) -> String? {
        try typed(key, "a string") { $0.string }
    }
    mutating func bool(_ key: String) throws(EngineError) -> Bool? {
        try typed(key, "true or false") { $0.bool }
    }

    mutating func int(_ key: String, in range: ClosedRange<Int>) throws(EngineError) -> Int? {
        let bounds =
            range.upperBound == .max
            ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        return try typed(key, "an integer, \(bounds)") { value in
            value.int.flatMap { range.contains($0) ? $0 : nil }
        }
    }

    mutating func ints(_ key: String) throws(EngineError) -> [Int]? {
        try typed(key, "an array of integers") { value in
            guard let array = value.array else { return nil }
            let ints = array.compactMap(\.int)
            return ints.count == array.count ? ints : nil
        }
    }

    mutating func strings(_ key: String) throws(EngineError) -> [String]? {
        try typed(key, "an array of strings") { value in
            guard let array = value.array else { return nil }
            let strings = array.compactMap(\.string)
            return strings.count == array.count ? strings : nil
        }
    }

    /// Nil without `messages`; what belongs to them is of no use then, and stays a stranger.
    mutating func conversation() throws(EngineError) -> Conversation? {
        guard let messages = object["messages"], messages != .null else {
            taken.insert("messages")
            return nil
        }
        taken.formUnion(Conversation.fields)
        do throws(Conversation.Problem) {
            return try Conversation(object)
        } catch {
            throw EngineError(.invalidRequest, "bad_messages", "\(error)", param: error.field)
        }
    }

    /// Texts and token ids, one beside the other.
    mutating func prompts(_ key: String, atMost most: Int) throws(EngineError) -> [Prompt]? {
        try typed(key, "an array of 1 to \(most) strings or arrays of token ids") { value in
            guard let array = value.array, 1...most ~= array.count else { return nil }
            let prompts = array.compactMap { value -> Prompt? in
                if let text = value.string { return .text(text) }
                guard let items = value.array else { return nil }
                let ids = items.compactMap(\.int)
                return ids.count == items.count ? .tokenIDs(ids) : nil
            }
            return prompts.count == array.count ? prompts : nil
        }
    }

    mutating func requiredString(_ key: String) throws(EngineError) -> String {
        guard let value = try string(key) else { throw wrong(key, "given, as a string") }
        return value
    }

    mutating func requiredObject(_ key: String) throws(EngineError) -> JSONObject {
        guard let object = try typed(key, "an object", \.object) else {
            throw wrong(key, "given, as an object")
        }
        return object
    }

    private mutating func requestID(_ key: String) throws(EngineError) -> RequestID? {
        try typed(key, "a string or an integer") { value in
            value.string.map(RequestID.string) ?? value.int.map(RequestID.int)
        }
    }

    mutating func id() throws(EngineError) -> RequestID? { try requestID("id") }

    mutating func requiredID(_ key: String) throws(EngineError) -> RequestID {
        guard let value = try requestID(key) else { throw wrong(key, "given, as a string or an integer") }
        return value
    }

    mutating func form(_ key: String) throws(EngineError) -> StorageOptions.Form? {
        try typed(key, "\"auto\", \"merged\" or \"factored\"") {
            $0.string.flatMap(StorageOptions.Form.init(rawValue:))
        }
    }

    /// Absent: the default; null: the base.
    mutating func adapter() throws(EngineError) -> AdapterChoice {
        guard let value = take("adapter") else { return .standard }
        if case .null = value { return .base }
        guard let name = value.string else { throw wrong("adapter", "a name or null") }
        return try AdapterChoice(name)
    }

    func end(of operation: String) throws(EngineError) {
        guard let stranger = object.members.first(where: { !taken.contains($0.key) }) else { return }
        throw EngineError(
            .invalidRequest, "unknown_field", "\"\(operation)\" has no field \"\(stranger.key)\"",
            param: stranger.key)
    }
}
