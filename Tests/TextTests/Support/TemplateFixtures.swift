import Foundation
import Testing

@testable import DoraText

/// Rendered templates: our own one-rule snippets, and real templates that are not ours to ship.
enum TemplateFixtures {
    /// `Tests/Fixtures/templates`, written by `Tests/Fixtures/make/template_fixtures.py`.
    static let folder = Fixtures.folder + "/templates"

    /// `DORA_TEST_DATA`: a folder with `chat-templates/`; tests that need it say so when it is not set.
    static let realTemplates = Fixtures.realData.map { $0 + "/chat-templates" }

    static func text(_ path: String) throws -> String {
        String(decoding: try Fixtures.bytes(path), as: UTF8.self)
    }

    static func lines(_ path: String) throws -> [JSONObject] {
        try text(path).split(separator: "\n").map { line in
            try JSONValue(parsing: Array(line.utf8)).object ?? JSONObject()
        }
    }

    static let rules: [Rule] = (try? lines(folder + "/rules.jsonl").map(Rule.init)) ?? []

    /// Whole templates of our own, each with its answers to the same conversations.
    static let chats: [Chat] = {
        guard let object = try? JSONValue(parsing: Array(text(folder + "/chats.json").utf8)).object,
            let conversations = object["conversations"]?.array?.compactMap(\.object)
        else { return [] }
        return (object["templates"]?.array ?? []).compactMap(\.object).map { Chat($0, conversations) }
    }()

    struct Chat: Sendable, CustomTestStringConvertible {
        let name: String
        let template: String
        let conversations: [(conversation: JSONObject, answer: Answer)]

        init(_ object: JSONObject, _ conversations: [JSONObject]) {
            name = object["name"]?.string ?? ""
            template = object["template"]?.string ?? ""
            let answers = (object["answers"]?.array ?? []).compactMap(\.object).map { Answer($0) }
            self.conversations = Array(zip(conversations, answers)).map { ($0, $1) }
        }

        var testDescription: String { name }
    }

    static let realNames: [String] = {
        guard let realTemplates else { return [] }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: realTemplates)) ?? []
        return names.filter {
            !$0.contains(".") || FileManager.default.fileExists(atPath: "\(realTemplates)/\($0)/cases.jsonl")
        }
        .sorted()
    }()

    struct Rule: Sendable, CustomTestStringConvertible {
        let name: String
        let template: String
        let data: JSONObject
        let answer: Answer

        init(_ line: JSONObject) {
            name = line["rule"]?.string ?? ""
            template = line["template"]?.string ?? ""
            data = line["data"]?.object ?? JSONObject()
            answer = Answer(line)
        }

        var testDescription: String { name }
    }

    enum Answer: Equatable, Sendable {
        case text(String)
        /// The template's own words.
        case raised(String)
        case error

        init(_ line: JSONObject) {
            if let text = line["expected"]?.string {
                self = .text(text)
            } else if let message = line["raised"]?.string {
                self = .raised(message)
            } else if line["error_kind"]?.string == "raise", let message = line["error"]?.string {
                self = .raised(message)
            } else {
                self = .error
            }
        }

        init(_ render: () throws(TemplateError) -> String) {
            do {
                self = .text(try render())
            } catch {
                self = error.kind == .raised ? .raised(error.message) : .error
            }
        }
    }

    /// The answer to a line of `cases.jsonl` or `semantics.jsonl`.
    static func answer(_ line: JSONObject, template: String) -> Answer {
        Answer { () throws(TemplateError) -> String in
            var tokens: [String: String] = [:]
            for name in SpecialTokens.names { if let token = line[name]?.string { tokens[name] = token } }
            return try ChatTemplate(parsing: template, name: "template").render(
                messages: line["messages"]?.array ?? [], tools: line["tools"]?.array,
                documents: line["documents"]?.array,
                addGenerationPrompt: line["add_generation_prompt"]?.bool ?? false,
                continueFinalMessage: line["continue_final_message"]?.bool ?? false, specialTokens: tokens,
                variables: line["kwargs"]?.object ?? JSONObject(),
                clock: line["now"]?.string.flatMap { TemplateClock(iso: $0) } ?? TemplateClock())
        }
    }
}
