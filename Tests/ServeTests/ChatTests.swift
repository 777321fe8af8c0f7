import DoraLoader
import DoraRuntime
import DoraText
import FoundationEssentials
import Testing

@testable import DoraServe

/// Conversations: the model's template makes the prompt, the adapter's own where it brings one, and what is wrong with
/// either is said.
@Suite struct ChatTests {
    private static let template = """
        {{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}
        {{ '<' + m.role + '>' + m.content + '</s>' }}{% endfor %}
        {% if add_generation_prompt %}<assistant>{% endif %}
        """
    private static let rendered = "<s><user>the cat</s><assistant>"
    private static let messages = #""messages":[{"role":"user","content":"the cat"}]"#

    /// The fixture `texts` with a template.
    private func base(_ template: String = template) throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-chat-\(UUID())")
        try FileManager.default.copyItem(at: URL(filePath: TestServer.fixtures + "/bases/texts"), to: folder)
        try Data(template.utf8).write(to: folder.appending(path: "chat_template.jinja"))
        return folder
    }

    @Test func aConversationIsThePromptThatItsTemplateMakes() async throws {
        let folder = try base()
        defer { try? FileManager.default.removeItem(at: folder) }
        let server = try await TestServer(model: folder.path)
        let client = try await server.connect()
        let chat = try await client.ask(#"{"id":1,\#(Self.messages),"max_tokens":5,"ignore_eos":true}"#)
        let text = JSONValue.string(Self.rendered).text
        let raw = try await client.ask(
            #"{"id":2,"prompt":\#(text),"no_special":true,"max_tokens":5,"ignore_eos":true}"#)
        #expect(chat.tokenIDs.count == 5 && chat.tokenIDs == raw.tokenIDs)
        let scored = try await client.ask(#"{"id":3,\#(Self.messages),"score":true,"continuations":["he"]}"#)
        #expect(scored.errorCode == nil)
        try await server.stop()
    }

    @Test func whatIsWrongIsSaid() async throws {
        let folder = try base()
        defer { try? FileManager.default.removeItem(at: folder) }
        let server = try await TestServer(model: folder.path)
        let client = try await server.connect()
        for (line, code) in [
            (#"{"id":1,"messages":[{"role":"tool","content":"x"}]}"#, "chat_template_error"),
            (#"{"id":1,"messages":[{"content":"x"}]}"#, "bad_messages"),
            (#"{"id":1,"messages":[]}"#, "bad_messages"),
            (#"{"id":1,"messages":"hello"}"#, "bad_messages"),
            (#"{"id":1,"messages":[{"role":"user","content":"x"}],"prompt":"y"}"#, "bad_request"),
            (#"{"id":1,"prompt":"y","tools":[]}"#, "unknown_field"),
        ] {
            let reply = try await client.ask(line)
            #expect(reply.errorCode == code, "\(line)")
        }
        try await server.stop()
        let plain = try await TestServer(model: TestServer.fixtures + "/bases/texts")
        let reply = try await plain.connect().ask(#"{"id":1,\#(Self.messages)}"#)
        #expect(reply.errorCode == "no_chat_template")
        try await plain.stop()
    }

    /// A base with a broken template still answers prompts.
    @Test func aBrokenTemplateBreaksConversationsOnly() async throws {
        let folder = try base("{% for %}")
        defer { try? FileManager.default.removeItem(at: folder) }
        let server = try await TestServer(model: folder.path)
        let client = try await server.connect()
        let chat = try await client.ask(#"{"id":1,\#(Self.messages)}"#)
        #expect(chat.errorCode == "chat_template_error")
        let raw = try await client.ask(#"{"id":2,"prompt":"the cat","max_tokens":2}"#)
        #expect(raw.errorCode == nil)
        try await server.stop()
    }

    @Test func anAdaptersTemplateWinsAndTheUsersOverAll() throws {
        let folder = try base()
        defer { try? FileManager.default.removeItem(at: folder) }
        let adapter = folder.appending(path: "adapter")
        try FileManager.default.copyItem(
            at: URL(filePath: TestServer.fixtures + "/adapters/texts-plain"), to: adapter)
        try Data("own {{ messages[0].content }} {{ eos_token }}".utf8).write(
            to: adapter.appending(path: "chat_template.jinja"))
        let users = folder.appending(path: "users.jinja")
        try Data("user's".utf8).write(to: users)
        func rendered(_ adapters: [String], _ file: String?) throws -> String {
            let languages = try Languages(
                ModelFiles(folder.path), defaults: nil, vocabularySize: .max, chatTemplate: file)
            let language = try languages.language(ofAdapterIn: adapters, vocabularySize: .max)
            return try Prompt.rendered(Conversation(user: "the cat"), in: language, "model")
        }
        #expect(try rendered([], nil) == Self.rendered)
        // The template is the adapter's, its tokens are the base's.
        #expect(try rendered([adapter.path], nil) == "own the cat </s>")
        #expect(try rendered([adapter.path], users.path) == "user's")
    }

    @Test func aCommandsInputIsJSONOrOneTurn() throws {
        func conversation(_ text: String, system: String? = nil) throws -> Conversation {
            try Conversation(input: text, source: "input", system: system)
        }
        #expect(try conversation("hello\n[x]").messages == Conversation(user: "hello\n[x]").messages)
        #expect(
            try conversation(#"[{"role":"user","content":"a"}]"#).messages == Conversation(user: "a").messages
        )
        let whole = try conversation(
            #"{\#(Self.messages),"continue_final_message":true}"#, system: "be brief")
        #expect(whole.messages.count == 2 && whole.hasSystemMessage && !whole.addsGenerationPrompt)
        for text in ["[1", "{}", #"{"messages":[],"x":1}"#, "[]"] {
            #expect(throws: Prompt.Problem.self) { try conversation(text) }
        }
        #expect(throws: Prompt.Problem.self) {
            try conversation(#"[{"role":"system","content":"a"}]"#, system: "b")
        }
    }
}
