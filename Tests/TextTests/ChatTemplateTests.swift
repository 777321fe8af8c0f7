import Testing

@testable import DoraText

@Suite("A conversation becomes a prompt")
struct ChatTemplateTests {
    private static func messages(_ json: String) throws -> [JSONValue] {
        try JSONValue(parsing: Array(json.utf8)).array ?? []
    }

    private static let plain = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"

    @Test func errorsNameTemplateLineAndExpression() throws {
        let template = try ChatTemplate(parsing: "a\n{{ b\n  .c.d }}", name: "chat_template.jinja")
        #expect {
            try template.render(messages: [])
        } throws: { error in
            let error = error as? TemplateError
            return error?.kind == .undefined && error?.line == 2 && error?.expression == "b .c.d"
                && error?.description == "chat_template.jinja, line 2, in \"b .c.d\": 'b' is undefined"
        }
    }

    @Test func syntaxErrorsNameTheLine() {
        #expect(
            throws: TemplateError(.syntax, template: "t", line: 3, message: "Encountered unknown tag 'do'.")
        ) {
            try ChatTemplate(parsing: "a\n\n{% do x %}", name: "t")
        }
    }

    @Test func theTemplatesOwnRefusalIsVerbatim() throws {
        let template = try ChatTemplate(parsing: "{{ raise_exception('Roles must alternate!') }}", name: "t")
        #expect(
            throws: TemplateError(
                .raised, template: "t", line: 1, expression: "raise_exception('Roles must alternate!')",
                message: "Roles must alternate!")
        ) { try template.render(messages: []) }
    }

    @Test func anErrorIsOneLineWhateverTheTemplateSays() throws {
        let template = try ChatTemplate(
            parsing: "{{ raise_exception('a\\nb\\x1b[2J\\u202e') }}", name: "a\u{7}.jinja")
        #expect {
            try template.render(messages: [])
        } throws: { error in
            "\(error)"
                == #"a\u{7}.jinja, line 1: the template refuses the conversation: a\nb\u{1B}[2J\u{202E}"#
        }
    }

    @Test func variablesAreThoseOfTransformers() throws {
        let template = try ChatTemplate(
            parsing:
                "{{ bos_token }}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ eos_token }}{{ x }}",
            name: "t")
        var variables = JSONObject()
        _ = variables.append("x", .bool(true))
        _ = variables.append("eos_token", .string("!"))
        let text = try template.render(
            messages: [], specialTokens: ["bos_token": "<s>", "eos_token": "</s>"], variables: variables)
        #expect(text == "<s>TrueTrueFalse!True")
    }

    @Test func reasoningGoesByAllItsNames() throws {
        let template = try ChatTemplate(parsing: "{{ messages[0] }}", name: "t")
        let text = try template.render(messages: Self.messages(#"[{"role":"a","reasoning":"r"}]"#))
        #expect(text == "{'thinking': 'r', 'role': 'a', 'reasoning': 'r', 'reasoning_content': 'r'}")
    }

    @Test func partsAreJoinedUnlessTheTemplateWalksOverThem() throws {
        let messages = try Self.messages(
            #"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"x","content":null}]"#
        )
        let template = try ChatTemplate(parsing: Self.plain, name: "t")
        #expect(try template.prompt(messages: messages) == "<user>a\nb<x>")
        let walking = try ChatTemplate(
            parsing:
                "{% for m in messages %}{% for p in m['content'] %}[{{ p.text }}]{% endfor %}{% endfor %}",
            name: "t")
        #expect(try walking.prompt(messages: messages) == "[a][b]")
        #expect(try walking.prompt(messages: Self.messages(#"[{"role":"user","content":"c"}]"#)) == "[c]")
    }

    @Test func toolArgumentsAreObjectsOrTextAsTheTemplateTakesThem() throws {
        let messages = try Self.messages(
            #"[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"b\": 1, \"a\":2}"}}]}]"#
        )
        let call = "messages[0].tool_calls[0].function.arguments"
        let objects = try ChatTemplate(parsing: "{{ \(call).b }}", name: "t")
        #expect(try objects.prompt(messages: messages) == "1")
        let text = try ChatTemplate(parsing: "{{ 'x' + \(call) }}", name: "t")
        #expect(try text.prompt(messages: messages) == #"x{"b": 1, "a":2}"#)
    }

    @Test func developersAreSystemWhereTheTemplateDoesNotKnowThem() throws {
        let messages = try Self.messages(#"[{"role":"developer","content":"c"}]"#)
        #expect(try ChatTemplate(parsing: Self.plain, name: "t").prompt(messages: messages) == "<system>c")
        let knowing = try ChatTemplate(parsing: Self.plain + "{# developer #}", name: "t")
        #expect(try knowing.prompt(messages: messages) == "<developer>c")
    }

    @Test func continuationEndsAtTheContent() throws {
        let messages = try Self.messages(
            #"[{"role":"user","content":"hi"},{"role":"assistant","content":"Sure, "}]"#)
        let keeping = try ChatTemplate(parsing: Self.plain + "<end>", name: "t")
        #expect(
            try keeping.prompt(messages: messages, continueFinalMessage: true) == "<user>hi<assistant>Sure, ")
        let trimming = try ChatTemplate(
            parsing: "{% for m in messages %}<{{ m.content|trim }}>{% endfor %}", name: "t")
        #expect(try trimming.prompt(messages: messages, continueFinalMessage: true) == "<hi><Sure,")
    }

    static let malformed: [(String, String)] = [
        ("[1]", "messages[0] is 1 and should be an object"),
        (#"[{"content":"a"}]"#, "messages[0].role is missing and should be a string"),
        (
            #"[{"role":"user","content":7}]"#,
            "messages[0].content is 7 and should be a string or an array of parts"
        ),
        (
            #"[{"role":"user","content":[{"type":"image_url"}]}]"#,
            "messages[0].content[0] is of type \"image_url\": only text is supported"
        ),
        (
            #"[{"role":"a","tool_calls":[{"function":{"arguments":"[1]"}}]}]"#,
            "messages[0].tool_calls[0].function.arguments is an array of 1 and should be an object"
        ),
        ("[]", "there is no message"),
    ]

    @Test(arguments: malformed)
    func malformedMessagesNameTheirPlace(_ json: String, _ problem: String) throws {
        let template = try ChatTemplate(parsing: Self.plain, name: "t")
        let messages = try Self.messages(json)
        #expect(throws: TemplateError(.messages, template: "t", message: problem)) {
            try template.prompt(messages: messages)
        }
    }

    @Test func ofSeveralTemplatesToolsTakeTheirOwn() throws {
        let list = try JSONValue(
            parsing: Array(#"[{"name":"default","template":"d"},{"name":"tool_use","template":"t"}]"#.utf8))
        let set = try #require(ChatTemplateSet(list))
        #expect(set.choose(hasTools: true) == "t")
        #expect(set.choose(hasTools: false) == "d")
        #expect(ChatTemplateSet(.string("only"))?.choose(hasTools: true) == "only")
        #expect(ChatTemplateSet(.array([.string("x")])) == nil)
    }

    @Test func specialTokensAreStringsOrObjects() throws {
        let object = try #require(
            JSONValue(
                parsing: Array(#"{"bos_token":{"content":"<s>"},"eos_token":"</s>","pad_token":null}"#.utf8)
            ).object)
        #expect(SpecialTokens.tokens(in: object) == ["bos_token": "<s>", "eos_token": "</s>"])
    }

    @Test func theClockIsGiven() throws {
        let template = try ChatTemplate(parsing: "{{ strftime_now('%d %b %Y, %j %V %U') }}", name: "t")
        let clock = try #require(TemplateClock(iso: "2026-03-05T14:07:09"))
        #expect(try template.render(messages: [], clock: clock) == "05 Mar 2026, 064 10 09")
    }
}
