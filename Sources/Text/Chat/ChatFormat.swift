/// How a model wants a conversation: its templates, read once, and the special tokens that they may name.
package struct ChatFormat: Sendable {
    private enum Template: Sendable {
        case read(ChatTemplate)
        /// It is wrong; prompts without a template can still be answered.
        case flawed(TemplateError)
    }

    private let templates: [(name: String, template: Template)]
    private let specialTokens: [String: String]
    /// What errors call the place that the templates come from.
    private let source: String

    /// - Parameter source: a file's name, for messages.
    package init(_ set: ChatTemplateSet, source: String, specialTokens: [String: String]) {
        self.source = source
        self.specialTokens = specialTokens
        templates = set.templates.map { entry in
            let name = set.templates.count == 1 ? source : "\(source) (\(entry.name))"
            do throws(TemplateError) {
                return (entry.name, .read(try ChatTemplate(parsing: entry.source, name: name)))
            } catch { return (entry.name, .flawed(error)) }
        }
    }

    /// The same templates with other tokens, for an adapter that renamed some.
    package func with(specialTokens: [String: String]) -> ChatFormat {
        ChatFormat(templates, source, specialTokens)
    }

    /// The template of a request instead, with the same tokens.
    package func with(template source: String, named name: String) -> ChatFormat {
        ChatFormat(ChatTemplateSet(source), source: name, specialTokens: specialTokens)
    }

    /// Whether a template reads a variable.
    package func uses(_ variable: String) -> Bool {
        templates.contains { entry in
            if case .read(let template) = entry.template { template.uses(variable) } else { false }
        }
    }

    private init(
        _ templates: [(name: String, template: Template)], _ source: String, _ tokens: [String: String]
    ) {
        self.templates = templates
        self.source = source
        specialTokens = tokens
    }

    /// The prompt for a conversation; the template writes BOS, if the model wants one.
    /// - Throws: `TemplateError`: the template is wrong, or refuses the conversation, or a message is malformed.
    package func prompt(
        for conversation: Conversation, clock: TemplateClock = .now
    ) throws(TemplateError) -> String {
        try template(hasTools: conversation.tools != nil).prompt(
            messages: conversation.messages, tools: conversation.tools, documents: conversation.documents,
            addGenerationPrompt: conversation.addsGenerationPrompt,
            continueFinalMessage: conversation.continuesFinalMessage, specialTokens: specialTokens,
            variables: conversation.variables, clock: clock)
    }

    /// What is wrong where a template makes nothing of a conversation.
    package var emptyPrompt: TemplateError {
        TemplateError(.messages, template: source, message: "the template makes nothing of the conversation")
    }

    /// As transformers chooses: `tool_use` if there are tools and such a template, else `default`.
    private func template(hasTools: Bool) throws(TemplateError) -> ChatTemplate {
        func named(_ name: String) -> Template? { templates.last { $0.name == name }?.template }
        switch (hasTools ? named("tool_use") : nil) ?? named("default") {
        case .read(let template): return template
        case .flawed(let error): throw error
        case nil:
            let names = templates.map(\.name).joined(separator: ", ")
            throw TemplateError(
                .messages, template: source,
                message: "none of its templates is called default; it has \(names)")
        }
    }
}
