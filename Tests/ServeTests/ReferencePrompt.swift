import DoraLoader
import DoraText
import FoundationEssentials
import Testing

/// A text with the ids that transformers gives it.
struct ReferencePrompt {
    /// The tokenizer's folder in the repository.
    let tokenizer: String
    let text: String
    let ids: [Int]
    /// Nil for a rendered template, which has its special tokens.
    let idsWithSpecial: [Int]?

    static func all() throws -> [ReferencePrompt] {
        let data = try Data(contentsOf: URL(filePath: TestServer.fixtures + "/prompts.json"))
        return try #require(try JSONValue(parsing: Array(data)).array).map { row in
            let object = try #require(row.object)
            return ReferencePrompt(
                tokenizer: try #require(object["tokenizer"]?.string),
                text: try #require(object["text"]?.string),
                ids: (object["ids"]?.array ?? []).compactMap(\.int),
                idsWithSpecial: object["with_special"]?.array?.compactMap(\.int))
        }
    }
}
