import Glibc
import Testing

@testable import DoraLoader

/// Real vocabularies, which are too large to ship: set `DORA_TEST_DATA` to a folder with
/// `tokenizers/<name>/{tokenizer.json|tokenizer.model, vectors.jsonl}`.
@Suite struct TokenizerVectorTests {
    private static let data = getenv("DORA_TEST_DATA").map { String(cString: $0) }

    @Test(
        .enabled(if: data != nil, "set DORA_TEST_DATA to check real vocabularies"),
        arguments: ["gpt2", "llama2", "llama3", "tinyllama"])
    func everyVectorIsReproduced(name: String) throws {
        let folder = try #require(Self.data) + "/tokenizers/" + name
        let tokenizer = try #require(try TokenizerFiles.load(ModelFiles(folder)))
        let lines = try Fixtures.bytes(folder + "/vectors.jsonl").split(separator: 0x0A)
        try #require(!lines.isEmpty)
        for line in lines {
            let vector = try #require(try JSONValue(parsing: Array(line)).object)
            let text = try #require(vector["text"]?.string)
            let ids = try #require(vector["ids"]?.array).compactMap(\.int)
            #expect(tokenizer.encode(text, addingSpecialTokens: false) == ids, "\(text.debugDescription)")
        }
    }
}
