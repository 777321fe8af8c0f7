import DoraTensor
import DoraText
import Testing

@testable import DoraLoader

@Suite struct ModelConfigurationTests {
    @Test func everyFieldIsRead() throws {
        let model = try Configurations.model(
            ("head_dim", "16"), ("attention_bias", "true"), ("mlp_bias", "true"),
            ("tie_word_embeddings", "true"),
            ("torch_dtype", #""bfloat16""#), ("bos_token_id", "1"), ("eos_token_id", "[2, 3]"))
        #expect(model.vocabularySize == 10 && model.hiddenSize == 32 && model.intermediateSize == 24)
        #expect(model.layerCount == 2 && model.attentionHeads == 4 && model.keyValueHeads == 2)
        #expect(model.headSize == 16 && model.norm.epsilon == 1e-5 && model.maximumPositions == 128)
        #expect(model.biases.input && model.biases.output && model.biases.feedForward)
        #expect(!model.biases.head && model.tiesWordEmbeddings)
        #expect(model.elementType == .bf16 && model.bosID == 1 && model.eosIDs == [2, 3])
        #expect(model.ropes == [RopeParameters(theta: 10_000)] && model.quantization == nil)
    }

    @Test func absentAndNullFieldsHaveTheLibrarysDefaults() throws {
        let model = try Configurations.model(
            ("num_key_value_heads", "null"), ("head_dim", "null"), ("rms_norm_eps", "null"),
            ("max_position_embeddings", "null"), ("eos_token_id", "null"), ("architectures", "null"),
            ("hidden_act", "null"), ("rope_scaling", "null"), ("quantization_config", "null"))
        #expect(model.keyValueHeads == 4 && model.headSize == 8 && model.norm.epsilon == 1e-6)
        #expect(model.maximumPositions == 2048 && model.eosIDs.isEmpty && model.elementType == nil)
        #expect(!model.biases.input && !model.biases.feedForward && !model.tiesWordEmbeddings)
    }

    @Test func theTypeIsSpelledOneWayOrTheOther() throws {
        #expect(try Configurations.model(("dtype", #""float16""#)).elementType == .f16)
        #expect(try Configurations.model(("torch_dtype", #""float32""#)).elementType == .f32)
    }

    @Test func unknownKeysAndSlicedTrainingAreHarmless() throws {
        #expect(try Configurations.model(("pretraining_tp", "2"), ("use_cache", "true")).layerCount == 2)
    }

    @Test(arguments: [
        ("model_type", #""gpt2""#, LoadError.Code.unsupported),
        ("model_type", "null", .malformed),
        ("architectures", #"["LlamaForSequenceClassification"]"#, .unsupported),
        ("hidden_act", #""mish""#, .unsupported),
        ("vocab_size", "0", .malformed),
        ("vocab_size", "-1", .malformed),
        ("vocab_size", "1e30", .malformed),
        ("vocab_size", "\"10\"", .malformed),
        ("hidden_size", "null", .malformed),
        ("hidden_size", "33", .malformed),
        ("hidden_size", "9223372036854775807", .malformed),
        ("intermediate_size", "1.5", .malformed),
        ("num_hidden_layers", "1000000000", .malformed),
        ("num_attention_heads", "0", .malformed),
        ("num_key_value_heads", "3", .malformed),
        ("num_key_value_heads", "8", .malformed),
        ("head_dim", "7", .unsupported),
        ("head_dim", "6", .unsupported),
        ("head_dim", "514", .unsupported),
        ("head_dim", "1000000", .malformed),
        ("rms_norm_eps", "-1", .malformed),
        ("rms_norm_eps", "1e999", .malformed),
        ("max_position_embeddings", "0", .malformed),
        ("tie_word_embeddings", "1", .malformed),
        ("attention_bias", "\"yes\"", .malformed),
        ("torch_dtype", #""int8""#, .unsupported),
        ("eos_token_id", "[2, -2]", .malformed),
        ("eos_token_id", "{}", .malformed),
        ("rope_scaling", "8", .malformed),
        ("rope_theta", "0", .malformed),
        ("partial_rotary_factor", "0.5", .unsupported),
        ("sliding_window", "16", .unsupported),
        ("attn_logit_softcapping", "50.0", .unsupported),
        ("residual_multiplier", "0.5", .unsupported),
        ("layer_types", #"["full_attention", "chunked_attention"]"#, .unsupported),
        ("use_bidirectional_attention", "true", .unsupported),
        ("quantization_config", "[]", .malformed),
    ])
    func aFieldThatCannotBeServedIsNamed(key: String, value: String, code: LoadError.Code) {
        expectRefusal(code, naming: ["config.json: \(key)"]) { _ = try Configurations.model((key, value)) }
    }

    /// As the first conversions and other programs write them, and transformers reads them.
    @Test(arguments: [
        ("architectures", #"["LLaMAForCausalLM"]"#), ("architectures", #"["LlamaModel"]"#),
        ("hidden_act", #""swish""#),
        ("pad_token_id", "-1"), ("some_statistic", "NaN"), ("some_statistic", "[Infinity, -Infinity]"),
    ])
    func otherSpellingsMeanTheSame(key: String, value: String) throws {
        #expect(try Configurations.model((key, value)) == Configurations.model())
    }

    @Test func noEndIsSpelledMinusOne() throws {
        #expect(try Configurations.model(("eos_token_id", "-1")).eosIDs == [])
        #expect(try Configurations.model(("eos_token_id", "[2, -1]")).eosIDs == [2])
    }

    @Test(arguments: ["NaN", "-Infinity"])
    func aNumberThatIsUsedIsFinite(value: String) {
        expectRefusal(.malformed, naming: ["rms_norm_eps"]) {
            _ = try Configurations.model(("rms_norm_eps", value))
        }
    }

    @Test(arguments: ["", "[]", "null", "{", #"{"a":1}{"#])
    func textThatIsNoObjectIsRefused(text: String) {
        expectRefusal(.malformed, naming: ["config.json"]) {
            _ = try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
        }
    }

    @Test func theFileIsReadFromItsFolder() throws {
        let folder = try TemporaryFolder()
        expectRefusal(.missing, naming: [folder.file("config.json")]) {
            _ = try ModelConfiguration(folder: folder.path)
        }
        try folder.write("config.json", Configurations.text(Configurations.llama))
        #expect(try ModelConfiguration(folder: folder.path).hiddenSize == 32)
    }
}

@Suite struct QuantizationConfigurationTests {
    private func quantization(_ json: String) throws -> Bitsandbytes? {
        try Configurations.model(("quantization_config", json)).quantization?.format as? Bitsandbytes
    }

    @Test func eightBitsAreAskedForByEitherSpelling() throws {
        let old = try quantization(#"{"load_in_8bit": true}"#)
        let new = try quantization(#"{"quant_method": "bitsandbytes", "_load_in_8bit": true}"#)
        #expect(old?.scheme == .int8 && old == new)
    }

    @Test func fourBitsHaveACodeAndMayQuantizeTheirScales() throws {
        #expect(
            try quantization(#"{"load_in_4bit": true}"#)?.scheme == .fourBit(.fp4, doubleQuantized: false))
        let nf4 = #"{"load_in_4bit": true, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true}"#
        #expect(try quantization(nf4)?.scheme == .fourBit(.nf4, doubleQuantized: true))
    }

    @Test func skippedModulesAreFoundByTheStartOrEndOfTheirNames() throws {
        let listed = try quantization(
            #"{"load_in_8bit": true, "llm_int8_skip_modules": ["o_proj", "model.layers.0.mlp"]}"#)
        #expect(listed?.skips("model.layers.1.self_attn.o_proj") == true)
        #expect(listed?.skips("model.layers.0.mlp.up_proj") == true)
        #expect(listed?.skips("model.layers.1.mlp.up_proj") == false && listed?.skips("lm_head") == false)
        #expect(try quantization(#"{"load_in_8bit": true}"#)?.skips("lm_head") == true)
    }

    @Test(arguments: [
        (#"{"quant_method": "hqq", "bits": 4}"#, "quant_method", "hqq"),
        (#"{"quant_method": "mxfp4"}"#, "quant_method", "mxfp4"),
        (#"{}"#, "quant_method", "none"),
        (#"{"load_in_4bit": true, "bnb_4bit_quant_type": "nf3"}"#, "bnb_4bit_quant_type", "nf3"),
        (#"{"load_in_8bit": true, "llm_int8_has_fp16_weight": true}"#, "llm_int8_has_fp16_weight", "16"),
    ])
    func otherSchemesAreRefused(json: String, key: String, word: String) {
        expectRefusal(.unsupported, naming: ["config.json: quantization_config.\(key)", word]) {
            _ = try quantization(json)
        }
    }

    @Test(arguments: [
        #"{"quant_method": "bitsandbytes"}"#, #"{"load_in_8bit": true, "load_in_4bit": true}"#,
    ])
    func exactlyOneWidthMustBeAskedFor(json: String) {
        expectRefusal(.malformed, naming: ["quantization_config.load_in_8bit"]) { _ = try quantization(json) }
    }
}
