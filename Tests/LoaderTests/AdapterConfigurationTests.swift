import DoraText
import Testing

@testable import DoraLoader

@Suite struct AdapterConfigurationTests {
    @Test func everyFieldIsRead() throws {
        let adapter = try Configurations.adapter(
            ("use_rslora", "true"), ("lora_alpha", "5.65685"), ("target_modules", #"".*_proj""#),
            ("exclude_modules", #"["k_proj"]"#), ("rank_pattern", #"{"b": 3, "a": 4}"#),
            ("alpha_pattern", #"{"b": 1.5}"#), ("modules_to_save", #"["lm_head"]"#),
            ("bias", #""lora_only""#),
            ("trainable_token_indices", #"{"embed_tokens": [1, 2]}"#), ("base_model_name_or_path", #""x/y""#),
            ("peft_version", #""0.21.2""#), ("lora_dropout", "0.1"))
        #expect(
            adapter.usesDoRA && adapter.usesRankStabilization && adapter.rank == 2 && adapter.alpha == 5.65685
        )
        #expect(adapter.targetModules == .pattern(".*_proj") && adapter.excludedModules == .names(["k_proj"]))
        #expect(
            adapter.rankOverrides.map(\.pattern) == ["b", "a"]
                && adapter.rankOverrides.map(\.value) == [3, 4])
        #expect(adapter.alphaOverrides == [AdapterConfiguration.Override(pattern: "b", value: 1.5)])
        #expect(adapter.savedModules == ["lm_head"] && adapter.bias == .adapted)
        #expect(
            adapter.tokens == [AdapterConfiguration.TokenSelection(module: "embed_tokens", indices: [1, 2])])
        #expect(adapter.baseModelName == "x/y" && adapter.peftVersion == "0.21.2" && adapter.warnings.isEmpty)
    }

    @Test func everyFieldButTheKindMayBeAbsentOrNull() throws {
        let keys = [
            "task_type", "r", "lora_alpha", "use_dora", "use_rslora", "target_modules", "exclude_modules",
            "bias",
            "rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern", "modules_to_save",
            "lora_bias",
            "fan_in_fan_out", "init_lora_weights", "trainable_token_indices", "base_model_name_or_path",
            "peft_version", "layer_replication", "some_new_key",
        ]
        let text = Configurations.text([("peft_type", #""LORA""#)], keys.map { ($0, "null") })
        for text in [text, #"{"peft_type": "LORA"}"#] {
            let adapter = try AdapterConfiguration(parsing: Array(text.utf8), file: "adapter_config.json")
            #expect(adapter.rank == 8 && adapter.alpha == 8 && !adapter.usesDoRA && adapter.bias == .none)
            #expect(
                adapter.targetModules == .names(["q_proj", "v_proj"]) && adapter.layers.isEmpty
                    && adapter.tokens.isEmpty)
        }
    }

    @Test func unknownKeysMatterOnlyWhenSet() throws {
        #expect(try Configurations.adapter(("use_novelty", "false"), ("novelty", "{}"), ("n", "0")).rank == 2)
        expectRefusal(.unsupported, naming: ["adapter_config.json: use_novelty", "true"]) {
            _ = try Configurations.adapter(("use_novelty", "true"))
        }
    }

    @Test(arguments: [
        ("loftq_config", #"{"a": 1}"#), ("eva_config", #"{"rho": 2}"#),
        ("megatron_core", #""megatron.core""#),
        ("qalora_group_size", "16"), ("ensure_weight_tying", "true"), ("revision", #""main""#),
        ("lora_dropout", "0.5"), ("inference_mode", "true"), ("init_lora_weights", #""gaussian""#),
        ("init_lora_weights", "false"), ("init_lora_weights", #""eva""#), ("layers_to_transform", "[]"),
        ("use_qalora", "false"), ("target_parameters", "[]"), ("megatron_config", "null"),
    ])
    func settingsOfTrainingAreHarmless(key: String, value: String) throws {
        #expect(try Configurations.adapter((key, value)).rank == 2)
    }

    @Test(arguments: [
        ("peft_type", #""LN_TUNING""#), ("peft_type", #""ADALORA""#), ("task_type", #""SEQ_CLS""#),
        ("fan_in_fan_out", "true"), ("layer_replication", "[[0, 1]]"), ("target_parameters", #"["x"]"#),
        ("alora_invocation_tokens", "[1]"), ("use_qalora", "true"), ("arrow_config", #"{"a": 1}"#),
        ("use_bdlora", "true"), ("kasa_config", #"{"a": 1}"#), ("monteclora_config", #"{"a": 1}"#),
        ("velora_config", #"{"a": 1}"#), ("megatron_config", #"{"a": 1}"#),
        ("init_lora_weights", #""pissa""#),
        ("init_lora_weights", #""pissa_niter_16""#), ("init_lora_weights", #""olora""#),
        ("init_lora_weights", #""corda""#), ("init_lora_weights", #""loftq""#),
        ("init_lora_weights", #""lora_ga""#),
        ("init_lora_weights", #""something new""#), ("lora_bias", "true"),
    ])
    func whatWouldBeServedWronglyIsRefused(key: String, value: String) {
        expectRefusal(.unsupported, naming: ["adapter_config.json: \(key)"]) {
            _ = try Configurations.adapter((key, value))
        }
    }

    @Test(arguments: [
        ("peft_type", "null"), ("peft_type", "3"), ("r", "0"), ("r", "-1"), ("r", "1.5"), ("r", "1e12"),
        ("r", #""8""#), ("lora_alpha", #""16""#), ("lora_alpha", "1e999"), ("use_dora", "1"),
        ("use_rslora", #""true""#), ("target_modules", "3"), ("target_modules", "[3]"),
        ("exclude_modules", "{}"), ("rank_pattern", #"{"a": 0}"#), ("rank_pattern", #"{"a": null}"#),
        ("rank_pattern", "[]"), ("alpha_pattern", #"{"a": "x"}"#), ("layers_to_transform", "[-1]"),
        ("layers_to_transform", #""1""#), ("layers_pattern", "[1]"), ("modules_to_save", #""lm_head""#),
        ("bias", #""some""#), ("bias", "true"), ("trainable_token_indices", "[-3]"),
        ("trainable_token_indices", #"{"a": "b"}"#), ("init_lora_weights", "3"), ("task_type", "[]"),
    ])
    func brokenValuesAreNamed(key: String, value: String) {
        expectRefusal(.malformed, naming: ["adapter_config.json: \(key)"]) {
            _ = try Configurations.adapter((key, value))
        }
    }

    @Test func layersCannotRestrictAPattern() {
        expectRefusal(.unsupported, naming: ["layers_to_transform"]) {
            _ = try Configurations.adapter(("target_modules", #"".*""#), ("layers_to_transform", "1"))
        }
    }

    @Test func patternsOfAnUnknownVersionThatDifferAreWarnedAbout() throws {
        let patterns = [("rank_pattern", #"{"a": 1}"#), ("alpha_pattern", #"{"b": 1}"#)]
        #expect(try Configurations.adapter(patterns[0], patterns[1]).warnings.count == 1)
        #expect(
            try Configurations.adapter(patterns[0], patterns[1], ("peft_version", #""0.15.0""#)).warnings
                .isEmpty)
        #expect(try Configurations.adapter(patterns[0], ("alpha_pattern", #"{"a": 1}"#)).warnings.isEmpty)
    }
}
