import Testing

@testable import DoraText

@Suite("Templates render as jinja2 in transformers' sandbox does")
struct TemplateRuleTests {
    @Test(arguments: TemplateFixtures.rules)
    func rule(_ rule: TemplateFixtures.Rule) {
        let answer = TemplateFixtures.Answer { () throws(TemplateError) -> String in
            try ChatTemplate(parsing: rule.template, name: "rule").render(messages: [], variables: rule.data)
        }
        #expect(answer == rule.answer)
    }

    @Test func theRulesAreThere() {
        #expect(TemplateFixtures.rules.count > 50)
        #expect(TemplateFixtures.chats.count > 30)
        #expect(TemplateFixtures.chats.allSatisfy { $0.conversations.count > 5 })
    }

    @Test(arguments: TemplateFixtures.chats)
    func template(_ chat: TemplateFixtures.Chat) {
        for (conversation, answer) in chat.conversations {
            #expect(TemplateFixtures.answer(conversation, template: chat.template) == answer)
        }
    }

    @Test(
        .enabled(if: TemplateFixtures.realTemplates != nil, "set DORA_TEST_DATA to check real templates"),
        arguments: TemplateFixtures.realNames)
    func realTemplate(_ name: String) throws {
        let folder = try #require(TemplateFixtures.realTemplates) + "/" + name
        let template = try TemplateFixtures.text(folder + "/template.jinja")
        for line in try TemplateFixtures.lines(folder + "/cases.jsonl") {
            #expect(
                TemplateFixtures.answer(line, template: template) == TemplateFixtures.Answer(line),
                "\(line["tag"]?.string ?? "")")
        }
    }

    @Test(.enabled(if: TemplateFixtures.realTemplates != nil, "set DORA_TEST_DATA to check recorded rules"))
    func recordedSemantics() throws {
        let folder = try #require(TemplateFixtures.realTemplates)
        for line in try TemplateFixtures.lines(folder + "/semantics.jsonl") {
            let template = line["template"]?.string ?? ""
            #expect(
                TemplateFixtures.answer(line, template: template) == TemplateFixtures.Answer(line),
                "\(template)")
        }
    }
}
