import DoraText
import Testing

@testable import DoraLoader

@Suite struct GenerationDefaultsTests {
    private func defaults(_ json: String) throws -> GenerationDefaults {
        try GenerationDefaults(
            parsing: Array(json.utf8), file: "generation_config.json",
            configuration: Configurations.model(("bos_token_id", "1")))
    }

    @Test func stopTokensAreOneOrMany() throws {
        #expect(try defaults(#"{"eos_token_id": 5}"#).eosIDs == [5])
        #expect(try defaults(#"{"eos_token_id": [5, 6, 7], "bos_token_id": 0}"#).eosIDs == [5, 6, 7])
        #expect(try defaults(#"{"eos_token_id": [5, 6, 7], "bos_token_id": 0}"#).bosID == 0)
    }

    @Test func theModelsOwnTokensFillIn() throws {
        #expect(try defaults(#"{"eos_token_id": null, "do_sample": true, "temperature": 0.6}"#).eosIDs == [2])
        #expect(try defaults("{}").bosID == 1)
    }

    @Test func aRepetitionPenaltyIsAnnouncedAsNotApplied() throws {
        #expect(
            try defaults(#"{"repetition_penalty": 1.05}"#).warnings.first?.summary.contains("1.05") == true)
        #expect(try defaults(#"{"repetition_penalty": 1.0}"#).warnings.isEmpty)
    }

    @Test(arguments: [
        (#"{"eos_token_id": "2"}"#, "eos_token_id"), (#"{"eos_token_id": [[2]]}"#, "eos_token_id"),
        (#"{"bos_token_id": -1}"#, "bos_token_id"), (#"{"repetition_penalty": "x"}"#, "repetition_penalty"),
        ("3", "an object"),
    ])
    func brokenValuesAreNamed(json: String, word: String) {
        expectRefusal(.malformed, naming: ["generation_config.json", word]) { _ = try defaults(json) }
    }

    @Test func theFileIsOptional() throws {
        let folder = try TemporaryFolder()
        let configuration = try Configurations.model()
        #expect(try GenerationDefaults(ModelFiles(folder.path), configuration: configuration).eosIDs == [2])
        try folder.write("generation_config.json", #"{"eos_token_id": 9}"#)
        #expect(try GenerationDefaults(ModelFiles(folder.path), configuration: configuration).eosIDs == [9])
    }

    /// A tuned chat format ends its turns with another token than the base's texts.
    @Test(arguments: [
        (#"{"eos_token": "<|eot_id|>"}"#, nil, 3),
        (#"{"eos_token": {"content": "<|eot_id|>", "lstrip": false}}"#, nil, 3),
        (#"{"eos_token": "a"}"#, #"{"eos_token": {"content": "<|eot_id|>"}}"#, 3),
        (#"{"eos_token": "<|eot_id|>", "added_tokens_decoder": {}}"#, #"{"eos_token": "a"}"#, 3),
        ("{}", #"{"eos_token": "b"}"#, 1), (#"{"eos_token": "elsewhere"}"#, nil, 4),
        (#"{"eos_token": null}"#, nil, nil),
    ]) func theTokenizersOwnEndIsOneToo(configuration: String, map: String?, id: Int?) throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "tokenizer.json",
            #"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}, "#
                + #""added_tokens": [{"id": 3, "content": "<|eot_id|>", "single_word": false, "lstrip": false, "#
                + #""rstrip": false, "normalized": false, "special": true}]}"#)
        try folder.write("tokenizer_config.json", configuration)
        if let map { try folder.write("special_tokens_map.json", map) }
        let tokenizer = try #require(try TokenizerFiles.load(ModelFiles(folder.path)))
        #expect(tokenizer.eosID == id)
        #expect(tokenizer.specialID(of: "<|eot_id|>") == 3 && tokenizer.specialID(of: "a") == nil)
        let found = try defaults(#"{"eos_token_id": [1, 7]}"#)
        #expect(found.ends(with: tokenizer) == [1, 7] + [id].compactMap { $0 == 1 ? nil : $0 })
        #expect(found.ends(with: nil) == [1, 7])
    }

    @Test(arguments: [
        ("tokenizer_config.json", #"{"eos_token": 7}"#, "eos_token"),
        ("tokenizer_config.json", #"{"eos_token": {"content": 7}}"#, "eos_token.content"),
        ("special_tokens_map.json", #"{"eos_token": {}}"#, "eos_token.content"),
        ("special_tokens_map.json", "[]", "document"),
    ]) func aBrokenEndIsNamed(file: String, json: String, field: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("tokenizer.json", #"{"model": {"vocab": {"a": 0}, "merges": []}}"#)
        try folder.write(file, json)
        expectRefusal(.malformed, naming: [file, field]) {
            _ = try TokenizerFiles.load(ModelFiles(folder.path))
        }
    }
}
