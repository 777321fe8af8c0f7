import DoraLoader
import DoraServe
import DoraText

/// `--render-chat`: conversations in, prompts out, one JSON line each; for testing template engines against each other.
/// Exactly what the template writes for exactly these messages; needs no model.
struct RenderChat {
    private var templates: [String: ChatTemplate] = [:]

    /// Until the end of standard input.
    mutating func run() throws {
        while let line = readLine(strippingNewline: true) {
            if line.isEmpty { continue }
            var answer = JSONObject()
            do {
                _ = answer.append("text", .string(try render(line)))
            } catch let error as TemplateError {
                _ = answer.append("error", .string(error.kind == .raised ? error.message : "\(error)"))
            } catch {
                _ = answer.append("error", .string("\(error)"))
            }
            try Terminal.write(JSONValue.object(answer).text + "\n")
        }
    }

    private mutating func render(_ line: String) throws -> String {
        let object = try JSONFields(parsing: Array(line.utf8), file: "standard input").object
        let template = try template(of: object)
        var clock = TemplateClock.now
        if let now = object["now"], now != .null {
            guard let given = now.string.flatMap(TemplateClock.init(iso:)) else {
                throw Conversation.Problem(field: "now", problem: "must be a time as 2026-01-31T12:00:00")
            }
            clock = given
        }
        guard let messages = object["messages"]?.array else {
            throw Conversation.Problem(field: "messages", problem: "must be an array")
        }
        return try template.render(
            messages: messages, tools: object["tools"]?.array, documents: object["documents"]?.array,
            addGenerationPrompt: object["add_generation_prompt"]?.bool ?? false,
            continueFinalMessage: object["continue_final_message"]?.bool ?? false,
            specialTokens: SpecialTokens.tokens(in: object),
            variables: object["chat_template_kwargs"]?.object ?? JSONObject(), clock: clock)
    }

    private mutating func template(of object: JSONObject) throws -> ChatTemplate {
        let (source, name): (String, String)
        if let text = object["chat_template"]?.string {
            (source, name) = (text, "chat_template")
        } else if let file = object["chat_template_file"]?.string {
            let bytes = try MappedFile.contents(of: file, atMost: 8 << 20)
            (source, name) = (String(decoding: bytes, as: UTF8.self), file)
        } else {
            throw Conversation.Problem(
                field: "chat_template", problem: "or \"chat_template_file\" must be given")
        }
        if let known = templates[source] { return known }
        let template = try ChatTemplate(parsing: source, name: name)
        if templates.count >= 256 { templates = [:] }
        templates[source] = template
        return template
    }
}
