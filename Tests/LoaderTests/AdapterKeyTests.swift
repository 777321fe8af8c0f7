import Testing

@testable import DoraLoader

@Suite struct AdapterKeyTests {
    private static let module = "model.layers.0.self_attn.q_proj"
    private static let written = "base_model.model." + module

    @Test(arguments: [
        (written + ".lora_A.weight", module, AdapterKey.Part.a),
        (written + ".lora_B.weight", module, .b),
        (written + ".lora_B.bias", module, .bBias),
        (written + ".lora_A.default.weight", module, .a),
        (written + ".lora_B.my-adapter.bias", module, .bBias),
        (written + ".lora_magnitude_vector", module, .magnitude),
        (written + ".lora_magnitude_vector.weight", module, .magnitude),
        (written + ".lora_magnitude_vector.default", module, .magnitude),
        (written + ".lora_magnitude_vector.default.weight", module, .magnitude),
        (written + ".base_layer.weight", module, .baseWeight),
        (written + ".base_layer.bias", module, .baseBias),
        (written + ".token_adapter.base_layer.weight", module, .baseWeight),
        (written + ".weight", module, .weight),
        (written + ".bias", module, .bias),
        (module + ".lora_A.weight", module, .a),
        ("module." + written + ".lora_A.weight", module, .a),
        (
            "_orig_mod.base_model.model.model.layers.0._fsdp_wrapped_module.self_attn.q_proj.lora_A.weight",
            module, .a
        ),
        ("base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight", module, .a),
        ("base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight", module, .a),
        ("base_model.model.language_model.lm_head.lora_A.weight", "lm_head", .a),
        ("base_model.model.model.embed_tokens.lora_embedding_A", "model.embed_tokens", .embeddingA),
        ("base_model.model.model.embed_tokens.lora_embedding_B.default", "model.embed_tokens", .embeddingB),
        ("base_model.model.lm_head.weight", "lm_head", .weight),
        ("base_model.model.lm_head.modules_to_save.weight", "lm_head", .weight),
        ("base_model.model.lm_head.modules_to_save.default.weight", "lm_head", .weight),
        ("base_model.model.lm_head.original_module.weight", "lm_head", .original),
        (
            "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta", "model.embed_tokens",
            .tokenRows
        ),
        (
            "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta.default",
            "model.embed_tokens", .tokenRows
        ),
    ])
    func spellingsFoundInTheWildAreUnderstood(name: String, module: String, part: AdapterKey.Part) {
        #expect(AdapterKey(name) == AdapterKey(module: module, part: part))
    }

    @Test(arguments: [
        "", ".", "weight", "lora_A.weight", "base_model.model.lora_A.weight", written, written + ".lora_A",
        written + ".lora_A.weight.weight", written + ".lora_A.one.two.weight",
        written + ".lora_embedding_A.weight",
        written + ".dora_scale", written + ".lora_up", written + ".lora_a", written + ".lora_diag",
        written + ".token_adapter.weight", written + ".lora_monteclora_sampler.x",
    ])
    func otherNamesAreNot(name: String) {
        #expect(AdapterKey(name) == nil)
    }
}
