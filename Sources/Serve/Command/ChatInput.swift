package import DoraText

/// A conversation as a user gives it to a command.
extension Conversation {
    /// JSON if it begins with `[` (messages) or `{` (an object with `messages`, `tools`, …), else the text of one user
    /// turn.
    /// - Parameters:
    ///   - source: what messages call the input.
    ///   - system: a system message to put first.
    package init(input text: String, source: String, system: String?) throws(Prompt.Problem) {
        switch text.utf8.first {
        case UInt8(ascii: "["), UInt8(ascii: "{"): self = try Self.parsed(text, source)
        default: self.init(user: text)
        }
        guard let system else { return }
        if hasSystemMessage {
            throw .badConversation(
                "\(source): it has a system message, and --system gives another; leave one out")
        }
        insert(system: system)
    }

    private static func parsed(_ text: String, _ source: String) throws(Prompt.Problem) -> Conversation {
        let value: JSONValue
        do { value = try JSONValue(parsing: Array(text.utf8)) } catch {
            throw .badConversation("\(source): it begins as JSON and is none: \(error)")
        }
        var object = value.object ?? JSONObject()
        if value.array != nil { _ = object.append("messages", value) }
        if object["messages"] == nil, object["role"] != nil {
            throw .badConversation("\(source): it is one message; put it into an array: [{…}]")
        }
        if let stranger = object.members.first(where: { !fields.contains($0.key) })?.key {
            throw .badConversation("\(source): \"\(stranger)\" is no field of a conversation")
        }
        do { return try Conversation(object) } catch { throw .badConversation("\(source): \(error)") }
    }
}
