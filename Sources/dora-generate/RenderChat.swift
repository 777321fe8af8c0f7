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
                // The template's own words are what engines are compared by.
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
        guard let messages = try given("messages", "an array", in: object, \.array) else {
            throw Conversation.Problem(field: "messages", problem: "must be given")
        }
        return try template.render(
            messages: messages, tools: given("tools", "an array", in: object, \.array),
            documents: given("documents", "an array", in: object, \.array),
            addGenerationPrompt: given("add_generation_prompt", "true or false", in: object, \.bool) ?? false,
            continueFinalMessage: given("continue_final_message", "true or false", in: object, \.bool)
                ?? false,
            specialTokens: SpecialTokens.tokens(in: object),
            variables: given("chat_template_kwargs", "an object", in: object, \.object) ?? JSONObject(),
            clock: clock)
    }

    /// Nil if the member is not there, or null.
    private func given<Value>(
        _ key: String, _ kind: String, in object: JSONObject, _ read: (JSONValue) -> Value?
    ) throws(Conversation.Problem) -> Value? {
        guard let value = object[key], value != .null else { return nil }
        guard let found = read(value) else {
            throw Conversation.Problem(field: key, problem: "is \(value) and should be \(kind)")
        }
        return found
    }

    private mutating func template(of object: JSONObject) throws -> ChatTemplate {
        let (source, name): (String, String)
        if let text = try given("chat_template", "a string", in: object, \.string) {
            (source, name) = (text, "chat_template")
        } else if let file = try given("chat_template_file", "a path", in: object, \.string) {
            let bytes = try MappedFile.contents(of: file, atMost: 8 << 20)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Conversation.Problem(field: "chat_template_file", problem: "is not UTF-8: \(file)")
            }
            (source, name) = (text, file)
        } else {
            throw Conversation.Problem(
                field: "chat_template", problem: "or \"chat_template_file\" must be given")
        }
        let key = "\(name)\n\(source)"
        if let known = templates[key] { return known }
        let template = try ChatTemplate(parsing: source, name: name)
        if templates.count >= 256 { templates = [:] }
        templates[key] = template
        return template
    }
}
