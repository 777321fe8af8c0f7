import FoundationEssentials
import Testing

/// Nothing of a prompt is lost, however it is given: the ids are those that transformers gives the same text
/// (`Tests/Fixtures/make/prompt_fixtures.py`).
@Suite struct PromptTests {
    private struct Reference: Decodable {
        let tokenizer: String
        /// Whether the text is a rendered template and the ids are `apply_chat_template`'s own.
        let chat: Bool
        let text: String
        let ids: [Int]
        let with_special: [Int]?
    }

    private let references: [Reference]
    private let folder = FileManager.default.temporaryDirectory.appending(path: "dora-\(UUID().uuidString)")

    init() throws {
        let file = URL(filePath: Paths.path("Tests/Fixtures/prompts.json"))
        // All chats, and the texts of the tokenizer that has the most to lose: spaces and line feeds are its tokens.
        references = try JSONDecoder().decode([Reference].self, from: Data(contentsOf: file)).filter {
            $0.chat || $0.tokenizer.hasSuffix("llama2")
        }
        try #require(references.filter(\.chat).count == 6 && references.count > 20)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func ids(
        _ reference: Reference, _ arguments: String..., input: String = ""
    ) throws -> [Int] {
        let command = try Command(
            arguments: ["--tokenize", "--model", Paths.path(reference.tokenizer)] + arguments,
            input: Array(input.utf8))
        #expect(command.status == 0, "\(command.errors)")
        return command.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    }

    private func file(_ text: String) throws -> String {
        let file = folder.appending(path: "prompt")
        try Data(text.utf8).write(to: file)
        return file.path
    }

    @Test func anArgumentIsTakenAsItIs() throws {
        for reference in references {
            let comment = Comment(rawValue: reference.text.debugDescription)
            let found = try ids(reference, "--no-special", "--prompt", reference.text)
            #expect(found == reference.ids, comment)
            guard let special = reference.with_special else { continue }
            #expect(try ids(reference, "--prompt", reference.text) == special, comment)
        }
    }

    @Test func aFileIsTakenAsItIs() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        for reference in references {
            let comment = Comment(rawValue: reference.text.debugDescription)
            let path = try file(reference.text)
            #expect(try ids(reference, "--no-special", "--prompt-file", path) == reference.ids, comment)
            guard let special = reference.with_special else { continue }
            #expect(try ids(reference, "--prompt-file", path) == special, comment)
        }
    }

    @Test func standardInputWithoutSpecialTokensIsTakenAsItIs() throws {
        for reference in references {
            let found = try ids(reference, "--no-special", input: reference.text)
            #expect(found == reference.ids, "\(reference.text.debugDescription)")
        }
    }

    @Test func plainStandardInputLosesTheLineFeedOfEcho() throws {
        for reference in references {
            guard let special = reference.with_special else { continue }
            let found = try ids(reference, input: reference.text + "\n")
            #expect(found == special, "\(reference.text.debugDescription)")
        }
    }

    @Test func tokenIDsAreTakenAsTheyAreInEveryWay() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let reference = try #require(references.first)
        let words = reference.ids.map(String.init).joined(separator: " ")
        #expect(try ids(reference, "--token-ids", "--prompt", words) == reference.ids)
        #expect(try ids(reference, "--token-ids", "--prompt-file", file(words + "\n")) == reference.ids)
        #expect(try ids(reference, "--token-ids", input: words + "\n") == reference.ids)
        #expect(try ids(reference, "--token-ids", "--no-special", input: words + "\n") == reference.ids)
    }

    /// Swift would put U+FFFD in its place, which is another prompt.
    @Test func anArgumentThatIsNotUTF8IsRefused() throws {
        let command = try Command(
            program: "/bin/sh", "-c", #""$0" --tokenize --prompt "$(printf 'ab\377c')""#, Command.program)
        #expect(command.status == 65 && command.output.isEmpty)
        #expect(command.errors.contains("--prompt: byte 2 is not valid UTF-8"), "\(command.errors)")
        #expect(try Command("--tokenize", "--prompt", "ab\u{FFFD}c").status == 0)
    }
}
