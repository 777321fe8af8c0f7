import DoraRuntime
import DoraText
import Testing

@testable import DoraServe

/// What is wrong with a template or a conversation is one line, which names the template's file, the line in it, and the
/// reason; a command and the line protocol say the same.
@Suite struct ChatProblemTests {
    private static let user = #"[{"role":"user","content":"hi"}]"#
    private static let plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"

    /// What `dora-generate --chat` says of its input; nil if nothing is wrong.
    private func ofACommand(_ template: String, _ input: String) -> String? {
        do {
            let conversation = try Conversation(input: input, source: "standard input", system: nil)
            _ = try prompt(template, conversation)
            return nil
        } catch { return "\(error)" }
    }

    /// What the line protocol says of a request with the same; nil if nothing is wrong.
    private func ofARequest(_ template: String, _ input: String) -> String? {
        let members = input.first == "{" ? String(input.dropFirst().dropLast()) : "\"messages\":\(input)"
        do {
            let request = try LineRequest(line: Array("{\"id\":1,\(members)}".utf8))
            guard case .generate(let generate) = request.operation,
                case .chat(let conversation) = generate.prompt
            else { return "no conversation" }
            _ = try prompt(template, conversation)
            return nil
        } catch let bad as BadLine {
            return bad.error.message
        } catch let problem as Prompt.Problem {
            return EngineError(problem).message
        } catch { return "\(error)" }
    }

    private func prompt(_ template: String, _ conversation: Conversation) throws(Prompt.Problem) -> String {
        let format = ChatFormat(
            ChatTemplateSet(template), source: "chat_template.jinja", specialTokens: [:])
        do { return try format.prompt(for: conversation) } catch { throw .template(error) }
    }

    @Test(arguments: templates)
    func template(_ template: String, _ problem: String) {
        let line = "chat_template.jinja" + problem
        #expect(ofACommand(template, Self.user) == line)
        #expect(ofARequest(template, Self.user) == line)
    }

    @Test(arguments: conversations)
    func conversation(_ conversation: String, _ problem: String) {
        #expect(ofACommand(Self.plain, conversation) == problem)
        let own = "standard input: "
        #expect(
            ofARequest(Self.plain, conversation)
                == (problem.hasPrefix(own) ? String(problem.dropFirst(own.count)) : problem))
    }

    /// A request may have other fields, and its line is JSON or none.
    @Test(arguments: misfits)
    func input(_ input: String, _ problem: String) {
        #expect(ofACommand(Self.plain, input) == problem)
    }

    /// A template that makes nothing of a conversation is named, too.
    @Test func emptyPromptsAreTheTemplates() {
        let format = ChatFormat(ChatTemplateSet(""), source: "chat_template.jinja", specialTokens: [:])
        #expect(
            "\(format.emptyPrompt)" == "chat_template.jinja: the template makes nothing of the conversation")
    }
}
