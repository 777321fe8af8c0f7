import FoundationEssentials
import Testing

/// `--render-chat`: JSON lines of templates and messages in, JSON lines of prompts out.
@Suite struct RenderChatTests {
    private static let turn = #""messages":[{"role":"user","content":"hi"}]"#

    private func answers(_ lines: [String]) throws -> [String] {
        let run = try Command("--render-chat", input: Array((lines.joined(separator: "\n") + "\n").utf8))
        #expect(run.status == 0 && run.errors.isEmpty)
        return run.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    @Test func everyLineIsAnsweredByOne() throws {
        let answers = try answers([
            #"{"chat_template":"{{ messages[0].content }}{{ bos_token }}{{ x }}","bos_token":"<s>","chat_template_kwargs":{"x":1},\#(Self.turn)}"#,
            #"{"chat_template":"{{ raise_exception('two\nlines') }}",\#(Self.turn)}"#,
            #"{"chat_template":"\n{% if %}",\#(Self.turn)}"#,
            #"{"chat_template":"{{ messages[0].x.y }}",\#(Self.turn)}"#,
        ])
        #expect(
            answers == [
                #"{"text":"hi<s>1"}"#,
                // The template's own words, for comparing engines.
                #"{"error":"two\nlines"}"#,
                #"{"error":"chat_template, line 2: Expected an expression, got 'end of statement block'"}"#,
                #"{"error":"chat_template, line 1, in \"messages[0].x.y\": 'dict object' has no attribute 'x'"}"#,
            ])
    }

    @Test func wrongLinesSayWhatIsWrong() throws {
        let answers = try answers([
            "nonsense", #"{"messages":[]}"#, #"{"chat_template":1,"messages":[]}"#, #"{"chat_template":""}"#,
            #"{"chat_template":"","messages":"hi"}"#, #"{"chat_template":"","messages":[1]}"#,
            #"{"chat_template":"","messages":[],"tools":{}}"#,
            #"{"chat_template":"","messages":[],"add_generation_prompt":"yes"}"#,
            #"{"chat_template":"","messages":[],"chat_template_kwargs":[]}"#,
            #"{"chat_template":"","messages":[],"now":"yesterday"}"#,
            #"{"chat_template_file":"/no/such.jinja","messages":[]}"#,
        ])
        let expected = [
            "invalid JSON at byte 1", #"\"chat_template\" or \"chat_template_file\" must be given"#,
            #"\"chat_template\" is 1 and should be a string"#, #"\"messages\" must be given"#,
            #"\"messages\" is \"hi\" and should be an array"#, "messages[0] is 1 and should be an object",
            #"\"tools\" is an object with 0 keys and should be an array"#,
            #"\"add_generation_prompt\" is \"yes\" and should be true or false"#,
            #"\"chat_template_kwargs\" is an array of 0 and should be an object"#, #"\"now\" must be a time"#,
            "/no/such.jinja",
        ]
        #expect(answers.count == expected.count)
        for (answer, problem) in zip(answers, expected) {
            #expect(answer.hasPrefix(#"{"error":""#) && answer.contains(problem), "\(answer)")
        }
    }

    @Test func errorsNameTheTemplatesFile() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "dora-render-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        // Two files with the same content are still two.
        let files = ["one.jinja", "two.jinja"].map { folder.appending(path: $0).path }
        for file in files { try Data("\n{{ messages.x.y }}".utf8).write(to: URL(filePath: file)) }
        let answers = try answers(files.map { #"{"chat_template_file":"\#($0)",\#(Self.turn)}"# })
        for (answer, file) in zip(answers, files) {
            #expect(answer.contains("\(file), line 2, in \\\"messages.x.y\\\""), "\(answer)")
        }
    }
}
