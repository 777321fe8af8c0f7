import DoraLoader
import Testing

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
}
