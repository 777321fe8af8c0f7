/// A chat template: the Jinja program of a model that turns a conversation into its prompt.
///
/// Read once, rendered often, from any task. What is rendered is what transformers 5.23 renders
/// (`render_jinja_template`); `prompt(for:)` also does what servers do to the messages before.
package struct ChatTemplate: Sendable {
    /// What errors call the template: a file's name, usually.
    package let name: String
    package let source: String
    package let limits: TemplateLimits
    let tree: TemplateTree

    /// - Throws: `TemplateError` `.syntax` with the line, if the text is not Jinja.
    package init(
        parsing source: String, name: String, limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) {
        self.name = name
        self.source = source
        self.limits = limits
        if source.utf8.count > 1 << 20 {
            throw TemplateError(.limit, template: name, message: "the template is longer than 1 MiB")
        }
        do {
            tree = try Parser.parse(source)
        } catch {
            throw TemplateError(.syntax, template: name, line: error.line, message: error.message)
        }
    }

    /// The names of variables that the template uses, for deciding whether one has any effect.
    package func uses(_ variable: String) -> Bool { tree.names.contains(variable) }

    /// What the template writes for exactly these messages and variables.
    /// - Parameters:
    ///   - messages: objects; one that has its reasoning under one of the usual names has it under all.
    ///   - tools: `none` in the template if nil. Likewise `documents`.
    ///   - continueFinalMessage: the prompt ends right after the last message's content.
    ///   - specialTokens: `bos_token` and the others, by those names.
    ///   - variables: further ones (`chat_template_kwargs`); they go before special tokens of the same name.
    ///   - clock: what `strftime_now` tells.
    /// - Throws: `TemplateError`, `.raised` where the template itself refuses the conversation.
    package func render(
        messages: [JSONValue], tools: [JSONValue]? = nil, documents: [JSONValue]? = nil,
        addGenerationPrompt: Bool = false, continueFinalMessage: Bool = false,
        specialTokens: [String: String] = [:], variables: JSONObject = JSONObject(),
        clock: TemplateClock = .now
    ) throws(TemplateError) -> String {
        var messages = messages
        for (index, message) in messages.enumerated() {
            guard let object = message.object else {
                throw refused("messages[\(index)] is \(message) and should be an object")
            }
            messages[index] = .object(ChatMessages.namingReasoning(object))
        }
        var finalText = ""
        if continueFinalMessage { finalText = try ChatContinuation.mark(&messages, self) }
        var values: [String: TemplateValue] = [:]
        for (name, token) in specialTokens { values[name] = .string(token) }
        for (name, value) in variables.members { values[name] = TemplateValue(value) }
        values["messages"] = .list(messages.map { TemplateValue($0) })
        values["tools"] = tools.map { .list($0.map { TemplateValue($0) }) } ?? TemplateValue.none
        values["documents"] = documents.map { .list($0.map { TemplateValue($0) }) } ?? TemplateValue.none
        values["add_generation_prompt"] = .bool(addGenerationPrompt)
        let text = try Renderer(tree, name: name, variables: values, clock: clock, limits: limits).render()
        return continueFinalMessage ? try ChatContinuation.cut(text, after: finalText, self) : text
    }

    func refused(_ message: String) -> TemplateError {
        TemplateError(.messages, template: name, message: message)
    }
}
