import DoraText
import Glibc
import Testing

@testable import DoraLoader

/// Which tokenizer a folder holds, and what a `tokenizer.model` becomes by the files beside it.
@Suite struct TokenizerFilesTests {
    /// Seven hundred pieces.
    private func load(_ files: [String: String]) throws -> any Tokenizer {
        let folder = try TemporaryFolder()
        let model = try Fixtures.bytes(Fixtures.folder + "/tokenizers/sentencepiece/tokenizer.model")
        try folder.write("tokenizer.model", model)
        for (name, json) in files { try folder.write(name, json) }
        return try #require(try TokenizerFiles.load(ModelFiles(folder.path)))
    }

    @Test func withoutAWordOfTokensSpecialPiecesAreText() throws {
        for files in [[:], ["tokenizer_config.json": #"{"add_bos_token": true}"#]] {
            let tokenizer = try load(files)
            let ids = tokenizer.encode("</s>", addingSpecialTokens: true)
            #expect(ids.first == 1 && !ids.contains(2))
            #expect(tokenizer.eosID == 2 && tokenizer.specialID(of: "</s>") == 2)
        }
    }

    @Test func aConfigurationMakesSpecialPiecesTokens() throws {
        let tokenizer = try load(["tokenizer_config.json": #"{"tokenizer_class": "LlamaTokenizer"}"#])
        #expect(tokenizer.encode("</s>", addingSpecialTokens: true) == [1, 2])
        #expect(tokenizer.vocabularySize == 700 && tokenizer.specialID(of: "<unk>") == 0)
    }

    @Test func theEndThatAFileNamesIsTheTokenizers() throws {
        let tokenizer = try load([
            "tokenizer_config.json": #"{"eos_token": "</s>", "add_eos_token": true}"#,
            "special_tokens_map.json": #"{"eos_token": {"content": "<|end|>"}}"#,
            "added_tokens.json": #"{"<|end|>": 700}"#,
        ])
        #expect(tokenizer.eosID == 700 && tokenizer.specialID(of: "<|end|>") == 700)
        #expect(tokenizer.encode("", addingSpecialTokens: true) == [1, 700])
        #expect(tokenizer.decode([700], skippingSpecialTokens: true) == "")
    }

    @Test(arguments: [
        (
            "tokenizer_config.json", #"{"added_tokens_decoder": {"701": {"content": "<a>"}}}"#,
            "added_tokens_decoder.701"
        ),
        (
            "tokenizer_config.json", #"{"added_tokens_decoder": {"x": {"content": "<a>"}}}"#,
            "added_tokens_decoder.x"
        ),
        ("tokenizer_config.json", #"{"added_tokens_decoder": {"700": "<a>"}}"#, "added_tokens_decoder.700"),
        (
            "tokenizer_config.json", #"{"added_tokens_decoder": {"700": {}}}"#,
            "added_tokens_decoder.700.content"
        ),
        ("tokenizer_config.json", #"{"additional_special_tokens": [7]}"#, "additional_special_tokens[0]"),
        ("added_tokens.json", #"{"<a>": 5}"#, "<a>"), ("added_tokens.json", #"{"<a>": "700"}"#, "<a>"),
        ("tokenizer_config.json", #"{"legacy": "yes"}"#, "legacy"),
    ]) func whatDisagreesWithTheVocabularyIsNamed(file: String, json: String, field: String) {
        expectRefusal(.malformed, naming: [file, field]) { _ = try load([file: json]) }
    }

    @Test func splittingSpecialTokensIsRefused() {
        expectRefusal(.unsupported, naming: ["split_special_tokens"]) {
            _ = try load(["tokenizer_config.json": #"{"split_special_tokens": true}"#])
        }
    }

    @Test func aFolderWithoutTokenizerGivesNone() throws {
        #expect(try TokenizerFiles.load(ModelFiles("/nonexistent")) == nil)
        #expect(try TokenizerFiles.load(ModelFiles(Fixtures.folder)) == nil)
    }

    @Test(arguments: ["tokenizer.json", "tokenizer.model"])
    func aPipeIsRefusedWithoutWaitingForAWriter(name: String) throws {
        let folder = try TemporaryFolder()
        #expect(mkfifo(folder.file(name), 0o600) == 0)
        expectRefusal(.malformed, naming: [name, "pipe"]) {
            _ = try TokenizerFiles.load(ModelFiles(folder.path))
        }
    }
}
