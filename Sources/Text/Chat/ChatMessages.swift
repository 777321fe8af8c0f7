/// What is done to messages before a template sees them.
package enum ChatMessages {
    private static let reasoningNames = ["reasoning_content", "thinking", "reasoning"]

    /// As transformers: the first reasoning that is there goes by all names that templates read.
    static func namingReasoning(_ message: JSONObject) -> JSONObject {
        guard let reasoning = reasoningNames.lazy.compactMap({ message[$0] }).first(where: { $0 != .null })
        else {
            return message
        }
        var named = JSONObject()
        _ = named.append("thinking", message["thinking"] ?? reasoning)
        for (key, value) in message.members where key != "thinking" {
            _ = named.append(key, key == "reasoning_content" ? reasoning : value)
        }
        _ = named.append("reasoning_content", reasoning)
        return named
    }

    /// As `apply_chat_template`: a member that is null is as good as absent.
    package static func withoutNulls(_ message: JSONObject) -> JSONObject {
        var result = JSONObject()
        for (key, value) in message.members where value != .null { _ = result.append(key, value) }
        return result
    }

    /// What servers do (vLLM's `chat_utils`): text parts become one text, or the text becomes a part if the template
    /// walks over parts; the arguments of tool calls become objects; `developer` becomes `system` where the template
    /// does not know it.
    /// - Parameter argumentsAsText: tool arguments stay, or become, JSON text.
    package static func prepared(
        _ messages: [JSONValue], for template: ChatTemplate, argumentsAsText: Bool = false
    ) throws(TemplateError) -> [JSONValue] {
        let takesParts = template.tree.walksOverContent
        let knowsDeveloper = template.source.contains("developer")
        var result: [JSONValue] = []
        for (index, message) in messages.enumerated() {
            let place = "messages[\(index)]"
            guard let object = message.object else {
                throw template.refused("\(place) is \(message) and should be an object")
            }
            guard object["role"]?.string != nil else {
                let found = object["role"].map { "is \($0)" } ?? "is missing"
                throw template.refused("\(place).role \(found) and should be a string")
            }
            var prepared = JSONObject()
            var hasContent = false
            for (key, value) in object.members {
                switch key {
                case "role" where value.string == "developer" && !knowsDeveloper:
                    _ = prepared.append(key, .string("system"))
                case "content":
                    hasContent = true
                    _ = prepared.append(key, try content(value, "\(place).content", takesParts, template))
                case "tool_calls":
                    if value == .null || value.array?.isEmpty == true { continue }
                    _ = prepared.append(
                        key, try toolCalls(value, "\(place).tool_calls", asText: argumentsAsText, template))
                default: if value != .null { _ = prepared.append(key, value) }
                }
            }
            if !hasContent { _ = prepared.append("content", takesParts ? .array([]) : .string("")) }
            result.append(.object(prepared))
        }
        return result
    }

    private static func content(
        _ value: JSONValue, _ place: String, _ takesParts: Bool, _ template: ChatTemplate
    ) throws(TemplateError) -> JSONValue {
        switch value {
        case .null: return takesParts ? .array([]) : .string("")
        case .string(let text): return takesParts ? .array([.object(part(text))]) : value
        case .array(let parts):
            var texts: [String] = []
            for (index, part) in parts.enumerated() {
                if let text = part.string {
                    texts.append(text)
                    continue
                }
                let type = part.object?["type"]?.string ?? "text"
                guard type == "text" || type == "input_text" || type == "output_text" || type == "refusal"
                else {
                    throw template.refused(
                        "\(place)[\(index)] is of type \"\(type)\": only text is supported")
                }
                guard let text = part.object?["text"]?.string ?? part.object?["refusal"]?.string else {
                    throw template.refused("\(place)[\(index)].text is missing")
                }
                texts.append(text)
            }
            return takesParts
                ? .array(texts.map { .object(part($0)) }) : .string(texts.joined(separator: "\n"))
        default: throw template.refused("\(place) is \(value) and should be a string or an array of parts")
        }
    }

    private static func part(_ text: String) -> JSONObject {
        var object = JSONObject()
        _ = object.append("type", .string("text"))
        _ = object.append("text", .string(text))
        return object
    }

    private static func toolCalls(
        _ value: JSONValue, _ place: String, asText: Bool, _ template: ChatTemplate
    ) throws(TemplateError) -> JSONValue {
        guard let calls = value.array else {
            throw template.refused("\(place) is \(value) and should be an array")
        }
        var result: [JSONValue] = []
        for (index, call) in calls.enumerated() {
            guard let object = call.object else {
                throw template.refused("\(place)[\(index)] is \(call) and should be an object")
            }
            guard let called = object["function"], called != .null else {
                result.append(call)
                continue
            }
            guard let function = called.object else {
                throw template.refused("\(place)[\(index)].function is \(called) and should be an object")
            }
            let arguments = try Self.arguments(
                function["arguments"] ?? .null, "\(place)[\(index)].function.arguments", asText: asText,
                template)
            result.append(
                .object(
                    object.replacing(
                        "function", with: .object(function.replacing("arguments", with: arguments)))))
        }
        return .array(result)
    }

    private static func arguments(
        _ value: JSONValue, _ place: String, asText: Bool, _ template: ChatTemplate
    ) throws(TemplateError) -> JSONValue {
        var object = value
        if value == .null || value.string == "" { object = .object(JSONObject()) }
        if let text = value.string, !text.isEmpty {
            do {
                object = try JSONValue(parsing: Array(text.utf8))
            } catch {
                throw template.refused("\(place): \(error)")
            }
        }
        guard object.object != nil else {
            throw template.refused("\(place) is \(object) and should be an object")
        }
        if !asText { return object }
        if let text = value.string, !text.isEmpty { return value }
        return .string(try template.json(TemplateValue(object)))
    }
}

extension ChatTemplate {
    /// The prompt for a conversation as clients send it. Templates that join a tool call's arguments to text get
    /// them as text: what they say of an object is a type error, and rendering is tried once more.
    /// - Throws: as `render`, and `.messages` with the message's place if one is malformed.
    package func prompt(
        messages: [JSONValue], tools: [JSONValue]? = nil, documents: [JSONValue]? = nil,
        addGenerationPrompt: Bool = true, continueFinalMessage: Bool = false,
        specialTokens: [String: String] = [:], variables: JSONObject = JSONObject(),
        clock: TemplateClock = .now
    ) throws(TemplateError) -> String {
        if messages.isEmpty { throw refused("there is no message") }
        func attempt(argumentsAsText: Bool) throws(TemplateError) -> String {
            try render(
                messages: ChatMessages.prepared(messages, for: self, argumentsAsText: argumentsAsText),
                tools: tools,
                documents: documents, addGenerationPrompt: addGenerationPrompt && !continueFinalMessage,
                continueFinalMessage: continueFinalMessage, specialTokens: specialTokens,
                variables: variables,
                clock: clock)
        }
        do {
            return try attempt(argumentsAsText: false)
        } catch
            where error.kind == .type
            && messages.contains(where: { $0.object?["tool_calls"]?.array?.isEmpty == false })
        {
            do {
                return try attempt(argumentsAsText: true)
            } catch  where error.kind == .type {
                return try attempt(argumentsAsText: false)
            }
        }
    }

    /// A value as `tojson` writes it.
    fileprivate func json(_ value: TemplateValue) throws(TemplateError) -> String {
        var output = JSONOutput(
            Renderer(tree, name: name, variables: [:], clock: TemplateClock(), limits: limits))
        do {
            try output.append(value)
        } catch {
            throw refused("\((error as? Failure)?.message ?? "\(error)")")
        }
        return output.text
    }
}

extension JSONObject {
    /// The object with another value under a key, in the key's place.
    func replacing(_ key: String, with value: JSONValue) -> JSONObject {
        var result = JSONObject()
        for (name, old) in members { _ = result.append(name, name == key ? value : old) }
        _ = result.append(key, value)
        return result
    }
}

extension TemplateTree {
    /// Whether a loop walks over a message's `content`: then the template takes content in parts.
    var walksOverContent: Bool { Self.walksOverContent(statements) }

    private static func walksOverContent(_ statements: [Statement]) -> Bool {
        statements.contains { statement in
            switch statement {
            case .loop(let loop):
                isContent(loop.sequence.expression) || walksOverContent(loop.body)
                    || walksOverContent(loop.otherwise)
            case .branches(let branches, let otherwise):
                branches.contains { walksOverContent($0.body) } || walksOverContent(otherwise)
            case .macro(let macro), .call(_, _, let macro): walksOverContent(macro.body)
            case .capture(_, _, let body, _, _, _), .filter(_, let body, _, _, _), .with(_, let body, _),
                .scope(let body, _):
                walksOverContent(body)
            default: false
            }
        }
    }

    /// `….content` or `…['content']`, perhaps filtered or sliced.
    private static func isContent(_ expression: Expression) -> Bool {
        guard case .chain(.name, let links) = expression else { return false }
        for link in links.reversed() {
            switch link {
            case .filter, .slice: continue
            case .attribute("content"): return true
            case .item(.constant(.string("content"))): return true
            default: return false
            }
        }
        return false
    }
}
