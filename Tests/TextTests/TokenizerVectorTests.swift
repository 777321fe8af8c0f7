import DoraLoader
import Testing

@testable import DoraText

/// Real vocabularies, which are too large to ship: set `DORA_TEST_DATA` to a folder with
/// `tokenizers/<name>/{tokenizer.json|tokenizer.model, vectors.jsonl}`.
@Suite struct TokenizerVectorTests {
    @Test(
        .enabled(if: Fixtures.realData != nil, "set DORA_TEST_DATA to check real vocabularies"),
        arguments: ["gpt2", "llama2", "llama3", "tinyllama"])
    func everyVectorIsReproduced(name: String) throws {
        let folder = try #require(Fixtures.realData) + "/tokenizers/" + name
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
