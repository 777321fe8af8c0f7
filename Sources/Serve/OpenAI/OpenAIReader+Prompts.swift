import DoraText

/// Messages and prompts.
extension OpenAIReader {
    private static let mostPrompts = 64

    /// A string, strings, token ids, or lists of token ids.
    func prompts() throws(OpenAIError) -> [Prompt] {
        guard let value = self["prompt"] else { throw .invalid("prompt", "is missing") }
        if let text = value.string { return [.text(text)] }
        guard let array = value.array, !array.isEmpty else {
            throw .invalid("prompt", "must be a string, strings, token ids, or lists of token ids")
        }
        if let ids = array.all(\.int) { return [.tokenIDs(ids)] }
        let prompts =
            array.all(\.string)?.map(Prompt.text)
            ?? array.all { $0.array?.all(\.int) }?.map(Prompt.tokenIDs)
        guard let prompts else { throw .invalid("prompt", "must be of one kind: strings, or token ids") }
        guard prompts.count <= Self.mostPrompts else {
            throw .invalid("prompt", "has \(prompts.count) prompts; \(Self.mostPrompts) are allowed")
        }
        return prompts
    }

    func conversation() throws(OpenAIError) -> Conversation {
        guard let messages = self["messages"]?.array, !messages.isEmpty else {
            throw .invalid("messages", "must be an array of at least one message")
        }
        for (index, message) in messages.enumerated() { try Self.check(message, "messages[\(index)]") }
        try checkTools()
        var object = JSONObject()
        for name in Conversation.fields where name != "tools" {
            if let value = self[name] { _ = object.append(name, value) }
        }
        var conversation: Conversation
        do throws(Conversation.Problem) {
            conversation = try Conversation(object)
        } catch { throw .invalid(error.field, error.problem) }
        if let effort = self["reasoning_effort"] {
            _ = conversation.variables.append("reasoning_effort", effort)
        }
        return conversation
    }

    private static let textTypes: Set = ["text", "input_text", "output_text", "refusal"]

    private static func check(_ message: JSONValue, _ place: String) throws(OpenAIError) {
        guard let object = message.object else { throw .invalid(place, "must be an object") }
        guard let role = object["role"]?.string else { throw .invalid("\(place).role", "must be a string") }
        if let audio = object["audio"], audio != .null {
            throw .unsupported("\(place).audio", isValue: false, "there is only text")
        }
        switch object["content"] {
        case .string: return
        // A turn of calls has none.
        case nil where role == "assistant", .null where role == "assistant": return
        case .array(let parts):
            for (index, part) in parts.enumerated() { try check(part: part, "\(place).content[\(index)]") }
        default: throw .invalid("\(place).content", "must be a string or an array of parts")
        }
    }

    private static func check(part: JSONValue, _ place: String) throws(OpenAIError) {
        if part.string != nil { return }
        guard let object = part.object else { throw .invalid(place, "must be an object") }
        let type = object["type"]?.string ?? "text"
        guard textTypes.contains(type) else {
            throw .unsupported(
                place, isValue: true, "\"\(place)\" is of type \"\(type)\"; there is only text")
        }
        guard object["text"]?.string ?? object["refusal"]?.string != nil else {
            throw .invalid("\(place).text", "must be a string")
        }
    }

    /// A model would answer with a call as it was taught to spell one, and nobody here could read it.
    private func checkTools() throws(OpenAIError) {
        let hasTools = self["tools"]?.array?.isEmpty == false
        let choice = self["tool_choice"]
        let mustCall: Bool
        switch choice {
        case nil, .string("auto"): mustCall = hasTools
        case .string("none"): mustCall = false
        case .string("required"), .object: mustCall = true
        default: throw .invalid("tool_choice", "must be \"none\", \"auto\", \"required\" or an object")
        }
        guard mustCall else { return }
        throw .unsupported(
            choice == nil ? "tools" : "tool_choice", isValue: choice != nil,
            "calls of tools are not read from answers; give \"tool_choice\": \"none\", or no tools")
    }
}
