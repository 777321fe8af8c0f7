import DoraLoader
import DoraRuntime
import DoraText
import FoundationEssentials
import Testing

@testable import DoraServe

/// A conversation costs its new tokens: `usage` says so, over HTTP and over the line protocol.
@Suite struct HTTPPrefixTests {
    private static let models = TestServer.fixtures + "/../../models"

    @Test func tenTurnsComputeOnlyTheirNewTokens() async throws {
        let server = try await TestServer(model: Self.models + "/base") { options in
            options.adapters = ["sentiment", "topic"].map { ($0, Self.models + "/adapters/\($0)") }
        }
        let (line, client) = (try await server.connect(), try await server.http())
        for name in ["sentiment", "topic"] {
            var (text, cached) = ([Int](), 0)
            for turn in 0..<10 {
                text += (0..<11).map { 300 + (turn * 31 + $0 * 7) % 500 }
                let fields = #""max_tokens":9,"ignore_eos":true"#
                let usage: JSONObject?
                let answer: [Int]
                if name == "topic" {
                    let reply = try await line.ask(#"{"token_ids":\#(text),"adapter":"topic",\#(fields)}"#)
                    (usage, answer) = (reply["usage"]?.object, reply.tokenIDs)
                } else {
                    let reply = try await client.post(
                        "/v1/completions",
                        #"{"prompt":\#(text),"model":"sentiment","return_token_ids":true,\#(fields)}"#
                    ).json
                    usage = reply?["usage"]?.object
                    answer = reply?["choices"]?.array?.first?.object?.tokenIDs ?? []
                }
                #expect(usage?["prompt_tokens"]?.int == text.count)
                let found = usage?["prompt_tokens_details"]?.object ?? usage
                // All but the token that the last turn ended with, which was made and not computed.
                #expect(found?["cached_tokens"]?.int == cached, "\(name), turn \(turn)")
                #expect(answer.count == 9)
                text += answer
                cached = text.count - 1
            }
            #expect(cached == 199)
        }
        try await server.stop()
    }

    /// Of messages, as far as the template and the tokenizer give the same tokens again.
    @Test func tenMessagesComputeOnlyTheirNewTokens() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-turns-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.copyItem(at: URL(filePath: TestServer.fixtures + "/bases/texts"), to: folder)
        let template =
            "{{ bos_token }}{% for m in messages %}{{ '<' + m.role + '>' + m.content + '</s>' }}{% endfor %}"
            + "{% if add_generation_prompt %}<assistant>{% endif %}"
        try Data(template.utf8).write(to: folder.appending(path: "chat_template.jinja"))
        let configuration = folder.appending(path: "config.json")
        let text = String(decoding: try Data(contentsOf: configuration), as: UTF8.self)
            .replacing("\"max_position_embeddings\": 128", with: "\"max_position_embeddings\": 2048")
        try Data(text.utf8).write(to: configuration)
        let server = try await TestServer(model: folder.path)
        let client = try await server.http()
        var (messages, before, last) = ([String](), [Int](), 0)
        for turn in 0..<10 {
            messages.append(#"{"role":"user","content":"the cat sat \#(turn)"}"#)
            let reply = try await client.post(
                "/v1/chat/completions",
                #"{"messages":[\#(messages.joined(separator: ","))],"max_tokens":6,"ignore_eos":true,"return_token_ids":true}"#
            ).json
            let prompt = (reply?["prompt_token_ids"]?.array ?? []).compactMap(\.int)
            let choice = try #require(reply?["choices"]?.array?.first?.object)
            let alike = zip(prompt, before).prefix { $0 == $1 }.count
            let usage = reply?["usage"]?.object
            #expect(usage?["prompt_tokens_details"]?.object?["cached_tokens"]?.int == alike, "turn \(turn)")
            #expect(usage?["prompt_tokens"]?.int == prompt.count)
            // The last prompt, but for what a tokenizer may join with the answer.
            #expect(alike + 2 >= last)
            last = prompt.count
            before = prompt + choice.tokenIDs.dropLast()
            let said = try #require(choice["message"]?.object?["content"]?.string)
            messages.append(#"{"role":"assistant","content":\#(JSONValue.string(said).text)}"#)
        }
        try await server.stop()
    }
}
