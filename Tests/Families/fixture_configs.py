"""The models of Tests/Fixtures/families: one or more of each family, each with what the family has of its own switched on.

Windows hold six keys and ropes were made for sixteen positions, so that prompts of 13 and 40 ids lie around both.
"""

DEFAULT = dict(rope_type="default", rope_theta=100.0)
LINEAR = dict(rope_type="linear", rope_theta=100.0, factor=4.0)
DYNAMIC = dict(rope_type="dynamic", rope_theta=100.0, factor=4.0)
YARN = dict(rope_type="yarn", rope_theta=100.0, factor=4.0, original_max_position_embeddings=16)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=100.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=16)


def longrope(pairs):
    return dict(
        rope_type="longrope", rope_theta=100.0, original_max_position_embeddings=16,
        short_factor=[1 + 0.1 * i for i in range(pairs)], long_factor=[1 + 0.9 * i for i in range(pairs)])


def shaped(layers=2, tied=False, rope=DEFAULT, **more):
    return dict(
        vocab_size=48, hidden_size=32, intermediate_size=24, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
        pad_token_id=None, rope_parameters=dict(rope)) | more


# Heads of another size than hidden / heads.
NARROW = dict(hidden_size=24, intermediate_size=20)
SLIDING, FULL = "sliding_attention", "full_attention"
TYPED = dict(sliding_window=6, layer_types=[SLIDING, FULL, SLIDING])
BY_TYPE = {SLIDING: DEFAULT, FULL: LINEAR | dict(rope_theta=1000.0)}

# fixture -> (family, configuration, spelling): "v5" as transformers saves it, "v4" in the keys of transformers 4.
CONFIGS = {
    "llama-dynamic": ("llama", shaped(rope=DYNAMIC, max_position_embeddings=16), "v4"),
    "llama-yarn": ("llama", shaped(rope=YARN), "v4"),
    "llama-longrope": ("llama", shaped(rope=longrope(4) | dict(factor=4.0)), "v5"),
    "qwen2": ("qwen2", shaped(3, use_sliding_window=True, sliding_window=6, max_window_layers=1), "v4"),
    "qwen3": ("qwen3", shaped(head_dim=8, **NARROW, rope=YARN, attention_bias=True), "v5"),
    "mistral": ("mistral", shaped(sliding_window=6, head_dim=8, **NARROW), "v4"),
    "ministral": ("ministral", shaped(3, head_dim=8, **TYPED), "v5"),
    "ministral3": ("ministral3", shaped(
        head_dim=8, **NARROW, rope=YARN | dict(llama_4_scaling_beta=0.5, mscale=1.0, mscale_all_dim=1.0)), "v5"),
    "gemma": ("gemma", shaped(tied=True, head_dim=8, **NARROW, num_key_value_heads=1), "v4"),
    "gemma2": ("gemma2", shaped(
        3, tied=True, head_dim=8, **NARROW, query_pre_attn_scalar=10, sliding_window=6, attn_logit_softcapping=2.0,
        final_logit_softcapping=5.0), "v4"),
    "gemma3_text": ("gemma3_text", shaped(
        3, tied=True, head_dim=8, **NARROW, query_pre_attn_scalar=10, rope=BY_TYPE, final_logit_softcapping=5.0,
        **TYPED), "v4"),
    "phi": ("phi", shaped(qk_layernorm=True, rope=DEFAULT | dict(partial_rotary_factor=0.5)), "v4"),
    "phi3": ("phi3", shaped(
        sliding_window=24, rope=longrope(3) | dict(partial_rotary_factor=0.75), original_max_position_embeddings=16,
        max_position_embeddings=64), "v4"),
    "smollm3": ("smollm3", shaped(
        3, tied=True, no_rope_layers=[1, 0, 1], use_sliding_window=True, sliding_window=6), "v4"),
    "granite": ("granite", shaped(
        embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.4, attention_multiplier=0.2), "v4"),
    "olmo": ("olmo", shaped(clip_qkv=0.8), "v4"),
    "olmo2": ("olmo2", shaped(), "v4"),
    "olmo3": ("olmo3", shaped(3, rope={SLIDING: DEFAULT, FULL: YARN}, **TYPED), "v5"),
    "cohere": ("cohere", shaped(tied=True, use_qk_norm=True, logit_scale=1.5), "v4"),
    "cohere2": ("cohere2", shaped(3, tied=True, logit_scale=1.5, **TYPED), "v4"),
    "glm": ("glm", shaped(head_dim=8, **NARROW, rope=DEFAULT | dict(partial_rotary_factor=0.5)), "v4"),
    "glm4": ("glm4", shaped(
        head_dim=8, **NARROW, attention_bias=False, rope=DEFAULT | dict(partial_rotary_factor=0.5)), "v5"),
    "exaone4": ("exaone4", shaped(3, sliding_window_pattern=2, rope=LLAMA3, **TYPED), "v4"),
    "seed_oss": ("seed_oss", shaped(head_dim=8, **NARROW, attention_out_bias=True, mlp_bias=True), "v5"),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", shaped(head_dim=8, rope=DYNAMIC | dict(factor=1.0, alpha=1000.0)), "v4"),
    "ernie4_5": ("ernie4_5", shaped(tied=True, head_dim=8, **NARROW, use_bias=True), "v4"),
    "starcoder2": ("starcoder2", shaped(tied=True, sliding_window=6, use_bias=True), "v4"),
    "stablelm": ("stablelm", shaped(
        use_qkv_bias=True, qk_layernorm=True, use_parallel_residual=True,
        rope=DEFAULT | dict(partial_rotary_factor=0.5)), "v4"),
    "stablelm-serial": ("stablelm", shaped(rope=DEFAULT | dict(partial_rotary_factor=0.5)), "v4"),
    "nemotron": ("nemotron", shaped(rope=DEFAULT | dict(partial_rotary_factor=0.5)), "v4"),
    "gemma3": ("gemma3", shaped(
        3, tied=True, head_dim=8, **NARROW, query_pre_attn_scalar=10, rope=BY_TYPE, **TYPED), "v4"),
    "mistral3": ("mistral3", shaped(head_dim=8, **NARROW, sliding_window=None), "v4"),
    "mistral3-ministral3": ("mistral3-ministral3", shaped(
        head_dim=8, **NARROW, tied=True, rope=YARN | dict(llama_4_scaling_beta=0.5, mscale=1.0, mscale_all_dim=1.0)), "v5"),
    "qwen2_5_vl": ("qwen2_5_vl", shaped(
        use_sliding_window=False, rope=DEFAULT | dict(mrope_section=[2, 1, 1])), "v4"),
    "qwen3_vl": ("qwen3_vl", shaped(
        head_dim=8, **NARROW, rope=DEFAULT | dict(mrope_section=[2, 1, 1], mrope_interleaved=True)), "v5"),
}

# fixture -> how bitsandbytes stores it beside; all are also quantized at load.
STORED = {"phi3": "nf4-double", "starcoder2": "int8", "gemma3": "int8"}
LOADED = ("int8", "nf4")
