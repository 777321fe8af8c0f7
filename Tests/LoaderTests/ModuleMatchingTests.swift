import DoraLoader
import DoraText
import Testing

@Suite struct ModuleMatchingTests {
    private static let module = "model.layers.11.self_attn.q_proj"

    private func matching(_ changes: (String, String)...) throws -> ModuleMatching {
        let text = Configurations.text(Configurations.dora, changes)
        return try ModuleMatching(
            AdapterConfiguration(parsing: Array(text.utf8), file: "adapter_config.json"))
    }

    @Test func namesInAListAreWholeSegments() throws {
        #expect(try matching(("target_modules", #"["q_proj"]"#)).targets(Self.module))
        #expect(try matching(("target_modules", #"["self_attn.q_proj"]"#)).targets(Self.module))
        #expect(try !matching(("target_modules", #"["proj", "attn.q_proj", "q.proj"]"#)).targets(Self.module))
    }

    @Test func aStringIsAPatternOfTheWholeName() throws {
        #expect(try !matching(("target_modules", #""q_proj""#)).targets(Self.module))
        #expect(try matching(("target_modules", #"".*q_proj""#)).targets(Self.module))
        #expect(try matching(("target_modules", #""ALL-linear""#)).targets(Self.module))
        #expect(try !matching(("target_modules", #""all-linear""#)).targets("lm_head"))
    }

    @Test func withoutTargetsTheArchitecturesDefaultHolds() throws {
        let matching = try matching(("target_modules", "null"))
        #expect(matching.targets(Self.module) && !matching.targets("model.layers.11.self_attn.k_proj"))
    }

    @Test func exclusionsGoFirst() throws {
        #expect(try !matching(("exclude_modules", #"["layers.11.self_attn.q_proj"]"#)).targets(Self.module))
        #expect(try matching(("exclude_modules", #"["attn.q_proj"]"#)).targets(Self.module))
        #expect(try !matching(("exclude_modules", #"".*\\.11\\..*""#)).targets(Self.module))
    }

    @Test func savedModulesAreNotAdapted() throws {
        #expect(try !matching(("modules_to_save", #"["self_attn"]"#)).targets(Self.module))
        #expect(try matching(("modules_to_save", #"["attn"]"#)).targets(Self.module))
    }

    @Test func layersRestrictListsButNotFullNames() throws {
        #expect(try matching(("layers_to_transform", "11")).targets(Self.module))
        #expect(try !matching(("layers_to_transform", "[1]")).targets(Self.module))
        #expect(try matching(("layers_to_transform", "[]")).targets(Self.module))
        #expect(
            try matching(("layers_to_transform", "[1]"), ("target_modules", "[\"\(Self.module)\"]"))
                .targets(Self.module))
        #expect(
            try !matching(("layers_to_transform", "[11]"), ("layers_pattern", #""h""#)).targets(Self.module))
        #expect(
            try matching(("layers_to_transform", "[11]"), ("layers_pattern", #"["h", "layers"]"#))
                .targets(Self.module))
    }

    @Test func theFirstPatternInTheFileWins() throws {
        let matching = try matching(
            ("rank_pattern", #"{"self_attn.q_proj": 3, "q_proj": 5}"#),
            ("alpha_pattern", #"{"attn.q_proj": 1, "q_proj": 6.5, "self_attn.q_proj": 7}"#))
        #expect(matching.rank(of: Self.module) == 3)
        #expect(matching.alpha(of: Self.module) == 6.5)
        #expect(matching.scaling(of: Self.module) == Float(6.5 / 3))
        #expect(matching.rank(of: "model.layers.0.mlp.up_proj") == 2)
    }

    @Test func rankStabilizationDividesByTheRoot() throws {
        #expect(
            try matching(("use_rslora", "true"), ("r", "8"), ("lora_alpha", "16")).scaling(of: Self.module)
                == Float(16 / 8.0.squareRoot()))
    }

    @Test(arguments: [
        ("target_modules", #""(""#), ("exclude_modules", #""[""#), ("rank_pattern", #"{"*": 1}"#),
        ("alpha_pattern", #"{"a)(b": 1}"#), ("modules_to_save", #"["("]"#), ("layers_pattern", #""+""#),
    ])
    func aBrokenPatternIsNamedByItsKey(key: String, value: String) {
        expectRefusal(.malformed, naming: ["adapter_config.json: \(key)", "regular expression"]) {
            _ = try matching((key, value))
        }
    }

    /// Recorded from PEFT by `Tests/Fixtures/make/matching.py`.
    @Test(.enabled(if: Fixtures.areThere, "Tests/Fixtures is not there"))
    func everyRecordedAnswerOfPEFTIsRepeated() throws {
        let document = try JSONFields(parsing: Fixtures.bytes(Fixtures.matching), file: Fixtures.matching)
        let rows = try #require(document["rows"]?.array)
        #expect(rows.count > 300)
        for row in rows {
            let row = try #require(row.object)
            var config = try #require(row["config"]?.object)
            _ = config.append("peft_type", .string("LORA"))
            let module = try #require(row["module"]?.string)
            let matching = try ModuleMatching(AdapterConfiguration(JSONFields(config, file: "row")))
            let what = "\(config.members.map { "\($0.key): \($0.value)" }) \(module)"
            #expect(matching.targets(module) == row["targeted"]?.bool, "\(what)")
            #expect(matching.rank(of: module) == row["rank"]?.int, "\(what)")
            #expect(matching.alpha(of: module) == row["alpha"]?.double, "\(what)")
        }
    }
}
