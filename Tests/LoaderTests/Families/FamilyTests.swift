import DoraTensor
import DoraText
import Testing

@testable import DoraLoader

/// What the keys of each family's configuration turn into. That the numbers are right as a whole is the golden tests'
/// affair, with models of transformers.
@Suite struct FamilyTests {
    /// Twelve layers of a family, and the keys given.
    private func model(_ type: String, _ changes: (String, String)...) throws -> ModelConfiguration {
        let base = [
            ("model_type", "\"\(type)\""), ("vocab_size", "10"), ("hidden_size", "64"),
            ("intermediate_size", "24"),
            ("num_hidden_layers", "12"), ("num_attention_heads", "4"), ("num_key_value_heads", "2"),
            ("head_dim", "16"),
        ]
        return try ModelConfiguration(
            parsing: Array(Configurations.text(base, changes).utf8), file: "config.json")
    }

    /// A letter a layer: W slides, else F; lower case where it is not rotated.
    private func layers(_ model: ModelConfiguration) -> String {
        model.layers.map { layer in
            let letter = layer.attention.window == nil ? "F" : "W"
            return layer.rope == nil ? letter.lowercased() : letter
        }.joined()
    }

    @Test func everyFamilyIsReadWithNothingButItsShape() throws {
        for family in ModelFamily.all {
            let model = try model(family.type)
            #expect(model.layerCount == 12 && model.headSize == 16, "\(family.type)")
            let inventory = ModuleInventory(model)
            #expect(
                inventory.vocabularySize == 10 && inventory[ModuleInventory.head] != nil, "\(family.type)")
        }
        #expect(Set(ModelFamily.all.map(\.type)).count == ModelFamily.all.count)
    }

    @Test func windowsFollowEachFamilysRule() throws {
        #expect(try layers(model("mistral")) == "WWWWWWWWWWWW")
        #expect(try layers(model("mistral", ("sliding_window", "null"))) == "FFFFFFFFFFFF")
        #expect(try layers(model("qwen2", ("sliding_window", "8"))) == "FFFFFFFFFFFF")
        let sliding = [("sliding_window", "8"), ("use_sliding_window", "true")]
        #expect(
            try layers(model("qwen3", sliding[0], sliding[1], ("max_window_layers", "10"))) == "FFFFFFFFFFWW")
        #expect(try layers(model("gemma2")) == "WFWFWFWFWFWF")
        #expect(try layers(model("gemma3_text")) == "WWWWWFWWWWWF")
        #expect(try layers(model("gemma3_text", ("sliding_window_pattern", "4"))) == "WWWFWWWFWWWF")
        #expect(try layers(model("phi3")) == "FFFFFFFFFFFF")
        #expect(try layers(model("olmo3")) == "WWWFWWWFWWWF")
    }

    @Test func layerTypesWinOverPatterns() throws {
        let types = (0..<12).map { $0 < 2 ? "\"full_attention\"" : "\"sliding_attention\"" }.joined(
            separator: ",")
        #expect(try layers(model("gemma2", ("layer_types", "[\(types)]"))) == "FFWWWWWWWWWW")
        // None of them slides without a window.
        expectRefusal(.malformed, naming: ["config.json: sliding_window"]) {
            _ = try model("qwen3", ("layer_types", "[\(types)]"))
        }
    }

    @Test func someLayersAreNotRotated() throws {
        #expect(try layers(model("cohere2")) == "WWWfWWWfWWWf")
        #expect(try layers(model("exaone4")) == "WWWfWWWfWWWf")
        #expect(try layers(model("exaone4", ("sliding_window", "null"))) == "FFFFFFFFFFFF")
        #expect(try layers(model("smollm3")) == "FFFfFFFfFFFf")
        let slides = [("use_sliding_window", "true"), ("sliding_window", "8")]
        #expect(try layers(model("smollm3", slides[0], slides[1])) == "FFFwFFFwFFFw")
        #expect(
            try layers(model("smollm3", ("no_rope_layers", "[0,1,1,1,1,1,1,1,1,1,1,1]"))) == "fFFFFFFFFFFF")
    }

    @Test func slidingLayersMayHaveATableOfTheirOwn() throws {
        let scaling = ("rope_scaling", #"{"rope_type": "linear", "factor": 8}"#)
        let old = try model("gemma3_text", ("rope_local_base_freq", "5000"), scaling)
        #expect(
            old.ropes == [
                RopeParameters(theta: 1e6, scaling: .linear(factor: 8)), RopeParameters(theta: 5000),
            ])
        #expect(old.layers[0].rope == 1 && old.layers[5].rope == 0)
        let nested = #"""
            {"full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0}}
            """#
        #expect(try model("gemma3_text", ("rope_parameters", nested)).ropes == old.ropes)
        // The library looks for this beside the types of layers, not in them.
        func yarn(_ inside: String, _ beside: String = "") throws -> [RopeParameters] {
            let yarn = #""rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 24"#
            return try model(
                "gemma3_text", ("rope_parameters", #"{"full_attention": {\#(yarn)\#(inside)}\#(beside)}"#)
            ).ropes
        }
        let truncate = #", "truncate": false"#
        #expect(try yarn(truncate) == yarn("") && yarn("", truncate) != yarn(""))
        // With the old spelling OLMo 3 keeps its own base in sliding layers.
        #expect(try model("olmo3", ("rope_theta", "1000")).ropes.map(\.theta) == [1000, 500_000])
    }

    @Test func absentNullAndPresentAreThreeThings() throws {
        let shape = [
            ("vocab_size", "10"), ("hidden_size", "64"), ("intermediate_size", "24"),
            ("num_hidden_layers", "1"),
            ("num_attention_heads", "32"), ("model_type", #""qwen3""#),
        ]
        func read(_ changes: (String, String)...) throws -> ModelConfiguration {
            try ModelConfiguration(parsing: Array(Configurations.text(shape, changes).utf8), file: "f")
        }
        let heads = ("num_key_value_heads", "8")
        #expect(try read(heads).headSize == 128 && read(("head_dim", "8")).keyValueHeads == 32)
        expectRefusal(.unsupported, naming: ["head_dim"]) { _ = try read(("head_dim", "null")) }
        #expect(try model("gemma2").layers[0].attention.cap == 50)
        #expect(try model("gemma2", ("attn_logit_softcapping", "null")).layers[0].attention.cap == nil)
        #expect(try model("gemma2", ("final_logit_softcapping", "20")).scales.finalCap == 20)
        #expect(try model("glm").biases.input && !model("glm", ("attention_bias", "false")).biases.input)
    }

    @Test func scalesAreNumbers() throws {
        let granite = try model(
            "granite", ("embedding_multiplier", "12"), ("attention_multiplier", "0.5"),
            ("residual_multiplier", "0.25"), ("logits_scaling", "4"))
        #expect(
            granite.scales.embedding == 12 && granite.scales.residual == 0.25 && granite.scales.logits == 0.25
        )
        #expect(granite.layers[0].attention.scale == 0.5)
        #expect(try model("gemma").scales.embedding == 8 && model("gemma").layers[0].attention.scale == 0.25)
        #expect(try model("gemma2").layers[0].attention.scale == 0.0625)
        #expect(try model("cohere").scales.logits == 0.0625)
        #expect(try model("olmo", ("clip_qkv", "3")).scales.clip == 3)
    }

    @Test func fusedMatricesAreModules() throws {
        let inventory = ModuleInventory(try model("phi3"))
        #expect(inventory["model.layers.0.self_attn.qkv_proj"]?.weightShape == [128, 64])
        #expect(inventory["model.layers.0.mlp.gate_up_proj"]?.weightShape == [48, 64])
        #expect(inventory["model.layers.0.self_attn.q_proj"] == nil)
    }

    @Test func normsHaveTheirFamilysShapes() throws {
        #expect(
            ModuleInventory(try model("olmo2"))["model.layers.0.self_attn.k_norm"]?.weightShape == [32])
        #expect(ModuleInventory(try model("qwen3"))["model.layers.0.self_attn.q_norm"]?.weightShape == [16])
        let cohere = ModuleInventory(try model("cohere", ("use_qk_norm", "true")))
        #expect(cohere["model.layers.0.self_attn.q_norm"]?.weightShape == [4, 16])
        let oneKeyHead = ModuleInventory(
            try model("cohere", ("use_qk_norm", "true"), ("num_key_value_heads", "1")))
        #expect(oneKeyHead["model.layers.0.self_attn.k_norm"]?.weightShape == [1, 16])
        #expect(cohere["model.layers.0.post_attention_layernorm"] == nil)
        let stable = ModuleInventory(try model("stablelm", ("qk_layernorm", "true")))
        #expect(stable["model.layers.0.self_attn.k_layernorm.norms.1"]?.weightShape == [16])
        #expect(stable["model.layers.0.input_layernorm"]?.biasName == "model.layers.0.input_layernorm.bias")
        #expect(ModuleInventory(try model("olmo")).modules.allSatisfy { $0.kind != .norm })
    }

    @Test(arguments: [
        ("qwen2", "attention_multiplier", "0.5"), ("qwen3", "attn_logit_softcapping", "50"),
        ("mistral", "use_qk_norm", "true"), ("gemma", "final_logit_softcapping", "30"),
        ("gemma3_text", "use_bidirectional_attention", "true"), ("phi3", "clip_qkv", "8"),
        ("granite", "sliding_window", "128"), ("llama", "num_local_experts", "8"),
        ("qwen2", "partial_rotary_factor", "0.5"), ("cohere", "attention_chunk_size", "64"),
    ])
    func aKeyThatTheFamilyDoesNotKnowIsRefused(type: String, key: String, value: String) {
        expectRefusal(.unsupported, naming: ["config.json: \(key)"]) { _ = try model(type, (key, value)) }
    }

    @Test(arguments: [
        ("gemma2", "sliding_window", "0"), ("gemma2", "layer_types", #"["full_attention"]"#),
        ("granite", "logits_scaling", "0"), ("smollm3", "no_rope_layers", "[1,1]"),
        ("smollm3", "no_rope_layers", "[2]"), ("qwen2", "use_sliding_window", "1"),
        ("qwen2", "sliding_window", "-1"), ("cohere2", "head_dim", "8"), ("stablelm", "head_dim", "8"),
        ("phi3", "rope_scaling", #"{"type": "longrope", "short_factor": [1], "long_factor": [1]}"#),
    ])
    func aKeyThatIsWrongIsNamed(type: String, key: String, value: String) {
        expectRefusal(.malformed, naming: ["config.json: \(key)"]) { _ = try model(type, (key, value)) }
    }

    @Test func aRopeByTypeOfLayerNamesItsTypeAsTransformersReadsIt() throws {
        let old = ("rope_scaling", #"{"type": "linear", "factor": 8}"#)
        expectRefusal(.malformed, naming: ["config.json: rope_scaling.rope_type"]) {
            _ = try model("gemma3_text", old)
        }
        #expect(try model("qwen3", old).ropes[0].scaling == .linear(factor: 8))
    }

    /// Where the parts of a multimodal configuration differ, the outer one wins; Qwen's also listen to the inner one.
    @Test(arguments: [
        ("gemma3", "", "", true), ("gemma3", "", "false", true), ("gemma3", "false", "true", false),
        ("mistral3", "", "false", true), ("mistral3", "false", "", false), ("qwen2_5_vl", "", "true", true),
        ("qwen2_5_vl", "false", "true", true), ("qwen2_5_vl", "", "", false), ("qwen3_vl", "", "true", false),
        ("qwen3_vl", "true", "", true), ("llava", "", "true", true),
    ])
    func theOuterPartSaysWhetherTheHeadIsTied(
        type: String, outer: String, inner: String, isTied: Bool
    ) throws {
        func key(_ value: String) -> String { value.isEmpty ? "" : #""tie_word_embeddings": \#(value), "# }
        let text = """
            {"model_type": "\(type)", \(key(outer))"text_config": {\(key(inner))"vocab_size": 10, "hidden_size": 64,
            "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 4,
            "head_dim": 16}}
            """
        let model = try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
        #expect(model.tiesWordEmbeddings == isTied)
    }

    @Test func aLanguageModelMayStandInsideOfAnother() throws {
        let text = #"""
            {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "eos_token_id": [1, 106],
            "text_config": {"model_type": "gemma3_text", "vocab_size": 10, "hidden_size": 64, "intermediate_size": 24,
            "num_hidden_layers": 1, "num_attention_heads": 4, "head_dim": 16, "final_logit_softcapping": 30.0}}
            """#
        let model = try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
        #expect(model.isMultimodal && model.tiesWordEmbeddings && model.eosIDs == [1, 106])
        #expect(model.scales.finalCap == nil)
        expectRefusal(.malformed, naming: ["config.json: text_config.hidden_size"]) {
            let broken = text.replacing(#""hidden_size": 64"#, with: #""hidden_size": 0"#)
            _ = try ModelConfiguration(parsing: Array(broken.utf8), file: "config.json")
        }
    }

    @Test(arguments: [
        "model.layers.0.mlp", "model.language_model.layers.0.mlp", "language_model.model.layers.0.mlp",
    ])
    func threeSpellingsNameOneModule(name: String) {
        #expect(MultimodalNames.plain(name) == "model.layers.0.mlp")
        let spelling = MultimodalNames("base_model.model." + name + ".up_proj.lora_A.weight") ?? .plain
        #expect(spelling.spelled("model.layers.0.mlp") == name)
        #expect(!MultimodalNames.isVision(name) && MultimodalNames.isVision("model.visual.blocks.0"))
    }
}
