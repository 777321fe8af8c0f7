/// A conversation whose next turn is asked for, with what its template is told.
package struct Conversation: Equatable, Sendable {
    /// Objects with a `role` and usually a `content`.
    package var messages: [JSONValue]
    package var tools: [JSONValue]?
    package var documents: [JSONValue]?
    /// `chat_template_kwargs`: further variables of the template.
    package var variables = JSONObject()
    /// Whether the prompt ends with the beginning of the answer's turn.
    package var addsGenerationPrompt = true
    /// Whether the last message is the beginning of the answer, which then goes on.
    package var continuesFinalMessage = false

    package init(messages: [JSONValue]) { self.messages = messages }

    /// One turn of a user.
    package init(user text: String) { messages = [Self.message(role: "user", text)] }

    /// Puts a system message before the others.
    package mutating func insert(system text: String) {
        messages.insert(Self.message(role: "system", text), at: 0)
    }

    /// Whether a system message opens it.
    package var hasSystemMessage: Bool {
        let role = messages.first?.object?["role"]?.string
        return role == "system" || role == "developer"
    }

    private static func message(role: String, _ text: String) -> JSONValue {
        var message = JSONObject()
        _ = message.append("role", .string(role))
        _ = message.append("content", .string(text))
        return .object(message)
    }
}

extension Conversation {
    /// Why some JSON is no conversation: the field and what is wrong with it.
    package struct Problem: Error, Equatable, CustomStringConvertible {
        package let field: String
        package let problem: String

        package init(field: String, problem: String) {
            self.field = field
            self.problem = problem
        }

        package var description: String { "\"\(field)\" \(problem)".printable }
    }

    /// Members that a conversation is read from; others are none of its business.
    package static let fields = [
        "messages", "tools", "documents", "chat_template_kwargs", "add_generation_prompt",
        "continue_final_message",
    ]

    /// The conversation of an object with `messages`.
    package init(_ object: JSONObject) throws(Problem) {
        guard let messages = object["messages"]?.array, !messages.isEmpty else {
            throw Problem(field: "messages", problem: "must be an array of at least one message")
        }
        for (index, message) in messages.enumerated() where message.object == nil {
            throw Problem(field: "messages", problem: "must hold objects, and [\(index)] is \(message)")
        }
        self.init(messages: messages)
        tools = try Self.array("tools", of: object)
        documents = try Self.array("documents", of: object)
        if let value = object["chat_template_kwargs"], value != .null {
            guard let variables = value.object else {
                throw Problem(field: "chat_template_kwargs", problem: "must be an object")
            }
            self.variables = variables
        }
        continuesFinalMessage = try Self.bool("continue_final_message", of: object) ?? false
        let adds = try Self.bool("add_generation_prompt", of: object)
        if continuesFinalMessage && adds == true {
            throw Problem(
                field: "add_generation_prompt", problem: "and \"continue_final_message\" exclude each other")
        }
        addsGenerationPrompt = adds ?? !continuesFinalMessage
    }

    private static func array(_ key: String, of object: JSONObject) throws(Problem) -> [JSONValue]? {
        guard let value = object[key], value != .null else { return nil }
        guard let array = value.array else { throw Problem(field: key, problem: "must be an array") }
        for (index, item) in array.enumerated() where item.object == nil {
            throw Problem(field: key, problem: "must hold objects, and [\(index)] is \(item)")
        }
        return array.isEmpty ? nil : array
    }

    private static func bool(_ key: String, of object: JSONObject) throws(Problem) -> Bool? {
        guard let value = object[key], value != .null else { return nil }
        guard let bool = value.bool else { throw Problem(field: key, problem: "must be true or false") }
        return bool
    }
}

extension Conversation {
    /// As `init` reads it.
    package var object: JSONObject {
        var object = JSONObject()
        _ = object.append("messages", .array(messages))
        if let tools { _ = object.append("tools", .array(tools)) }
        if let documents { _ = object.append("documents", .array(documents)) }
        if !variables.members.isEmpty { _ = object.append("chat_template_kwargs", .object(variables)) }
        _ = object.append("add_generation_prompt", .bool(addsGenerationPrompt))
        if continuesFinalMessage { _ = object.append("continue_final_message", .bool(true)) }
        return object
    }
}
