"""Every dense family: its classes in transformers, and how to draw a tiny configuration of it.

A draw returns the keyword arguments of the configuration class. What a family can vary, its draw varies: head sizes,
groups of heads, ties, biases, windows and their patterns, ropes, scales and caps.
"""

from dataclasses import dataclass
from typing import Callable

from ropes import ANY, by_type, head_size, rope


@dataclass
class Family:
    config: str
    model: str
    draw: Callable
    # Norm weights are stored minus one.
    one_plus: bool = False
    # Model type that holds the draw as its text part, and its vision part.
    wraps: str | None = None
    vision: dict | None = None
    # Written by transformers 5 alone.
    new: bool = False
    # Largest deviation of a log probability: caps and scales amplify rounding.
    tolerance: float = 1e-4


def flip(r, chance=0.5):
    return r.random() < chance


def shape(r, tied=None, free_heads=True, heads=(2, 4, 6), sizes=(8, 12, 16, 24)):
    """The fields that all families share. `free_heads`: a head's size may differ from hidden / heads."""
    heads = r.choice(heads)
    config = dict(
        vocab_size=r.choice((96, 125, 320)), hidden_size=heads * r.choice(sizes),
        intermediate_size=r.choice((40, 64, 88, 128)), num_hidden_layers=r.randint(2, 4), num_attention_heads=heads,
        num_key_value_heads=r.choice([n for n in (1, 2, 3, 4, 6) if heads % n == 0]),
        tie_word_embeddings=flip(r) if tied is None else tied, bos_token_id=1, eos_token_id=2, pad_token_id=None)
    if free_heads and flip(r):
        config["head_dim"] = r.choice((8, 16, 32))
    return config


def eps(r):
    return r.choice((1e-6, 1e-5, 1e-3))


def window(r):
    return r.randint(2, 20)


def patterned(config, every):
    """Layers of which each `every`th sees all."""
    return ["full_attention" if (i + 1) % every == 0 else "sliding_attention" for i in range(config["num_hidden_layers"])]


def mixed(r, config):
    return [r.choice(("sliding_attention", "full_attention")) for _ in range(config["num_hidden_layers"])]


def llama(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3), mlp_bias=flip(r, 0.3))
    return c | dict(rope_parameters=rope(r, c, ANY[-6:]), max_position_embeddings=c["max_position_embeddings"])


def upper_windows(r, c):
    """Qwen's windows: in the upper layers, or as listed, and only if a flag says so."""
    c["use_sliding_window"] = flip(r)
    c["sliding_window"] = window(r)
    c["max_window_layers"] = r.randint(0, c["num_hidden_layers"])
    if c["use_sliding_window"] and flip(r, 0.3):
        c["layer_types"] = mixed(r, c)


def qwen2(r):
    c = shape(r) | dict(rms_norm_eps=eps(r))
    upper_windows(r, c)
    c["rope_parameters"] = rope(r, c)
    return c


def qwen3(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3))
    c.setdefault("head_dim", 16)
    upper_windows(r, c)
    c["rope_parameters"] = rope(r, c)
    return c


def mistral(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), sliding_window=r.choice((None, window(r))))
    c["rope_parameters"] = rope(r, c)
    return c


def ministral(r):
    # transformers 5.23 runs neither a null window nor a null head_dim.
    c = shape(r) | dict(rms_norm_eps=eps(r), sliding_window=window(r))
    c.setdefault("head_dim", c["hidden_size"] // c["num_attention_heads"])
    if flip(r, 0.7):
        c["layer_types"] = mixed(r, c)
    c["rope_parameters"] = rope(r, c)
    return c


def ministral3(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), sliding_window=r.choice((None, None, window(r))))
    c.setdefault("head_dim", 16)
    c["rope_parameters"] = rope(r, c, ("yarn",)) | dict(llama_4_scaling_beta=r.choice((0.1, 0.5)))
    return c


def gemma(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3))
    c.setdefault("head_dim", 24)
    c["rope_parameters"] = rope(r, c)
    return c


def gemma2(r):
    c = gemma(r) | dict(
        query_pre_attn_scalar=r.choice((4, 16, 100)), sliding_window=window(r),
        attn_logit_softcapping=r.choice((None, 2.0, 50.0)), final_logit_softcapping=r.choice((None, 4.0, 30.0)))
    if flip(r, 0.3):
        c["layer_types"] = mixed(r, c)
    return c


def gemma3(r):
    c = gemma2(r) | dict(final_logit_softcapping=r.choice((None, None, 5.0)))
    c["layer_types"] = r.choice((patterned(c, 2), patterned(c, 3), patterned(c, 6), mixed(r, c)))
    c["rope_parameters"] = by_type(r, c)
    return c


def phi(r):
    c = shape(r, free_heads=False, sizes=(8, 16, 24)) | dict(layer_norm_eps=eps(r), qk_layernorm=flip(r, 0.3))
    c["rope_parameters"] = rope(r, c, fractions=(0.25, 0.5, 1.0) if head_size(c) != 8 else (0.5, 1.0))
    return c


def phi3(r):
    c = shape(r, free_heads=False, sizes=(8, 16, 24)) | dict(
        rms_norm_eps=eps(r), sliding_window=r.choice((None, None, window(r))))
    c["rope_parameters"] = rope(r, c, ("default", "longrope", "longrope"), (0.5, 0.75, 1.0))
    c["original_max_position_embeddings"] = c["rope_parameters"].get("original_max_position_embeddings", 64)
    c["max_position_embeddings"] = c["original_max_position_embeddings"] * r.choice((1, 2, 8, 8))
    if r.random() < 0.9:
        c["rope_parameters"].pop("factor", None)
    return c


def smollm3(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3), mlp_bias=flip(r, 0.3))
    if flip(r):
        c["no_rope_layers"] = [r.randint(0, 1) for _ in range(c["num_hidden_layers"])]
    else:
        c["no_rope_layer_interval"] = r.randint(2, 4)
    c |= dict(use_sliding_window=flip(r), sliding_window=window(r))
    if flip(r, 0.3) and c["use_sliding_window"]:
        c["layer_types"] = mixed(r, c)
    c["rope_parameters"] = rope(r, c)
    return c


def granite(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3), mlp_bias=flip(r, 0.3))
    c |= dict(
        embedding_multiplier=r.choice((1.0, 2.5, 12)), logits_scaling=r.choice((0.5, 1.0, 4.0)),
        residual_multiplier=r.choice((1.0, 0.22, 0.6)), attention_multiplier=r.choice((0.05, 0.3, 1.0)))
    c["rope_parameters"] = rope(r, c)
    return c


def olmo(r):
    c = shape(r) | dict(attention_bias=flip(r, 0.3), clip_qkv=r.choice((None, 0.7, 2.0)))
    c["rope_parameters"] = rope(r, c)
    return c


def olmo2(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3))
    c["rope_parameters"] = rope(r, c)
    return c


def olmo3(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3), sliding_window=window(r))
    c["layer_types"] = r.choice((patterned(c, 4), patterned(c, 2), mixed(r, c)))
    c["rope_parameters"] = by_type(r, c)
    return c


def cohere(r):
    c = shape(r) | dict(
        layer_norm_eps=eps(r), attention_bias=flip(r, 0.3), use_qk_norm=flip(r), logit_scale=r.choice((0.25, 1.0, 1.5)))
    c["rope_parameters"] = rope(r, c)
    return c


def cohere2(r):
    c = shape(r, free_heads=False) | dict(
        layer_norm_eps=eps(r), attention_bias=flip(r, 0.3), logit_scale=r.choice((0.25, 1.0, 1.5)),
        sliding_window=window(r))
    c["layer_types"] = r.choice((patterned(c, 4), patterned(c, 2), mixed(r, c)))
    c["rope_parameters"] = rope(r, c)
    return c


def glm(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.7))
    c.setdefault("head_dim", 16)
    c["rope_parameters"] = rope(r, c, fractions=(0.5, 0.5, 1.0) if head_size(c) == 8 else (0.25, 0.5, 1.0))
    return c


def exaone4(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), sliding_window=r.choice((None, window(r), window(r))))
    if c["sliding_window"]:
        every = r.choice((2, 3, 4))
        c |= dict(sliding_window_pattern=every, layer_types=patterned(c, every))
        if flip(r, 0.3):
            c["sliding_window_pattern"] = "L" * (every - 1) + "G"
    else:  # transformers 5.23 divides by the pattern otherwise
        c["layer_types"] = ["full_attention"] * c["num_hidden_layers"]
    c["rope_parameters"] = rope(r, c)
    return c


def seed_oss(r):
    c = shape(r) | dict(
        rms_norm_eps=eps(r), attention_bias=flip(r, 0.7), attention_out_bias=flip(r, 0.3), mlp_bias=flip(r, 0.3))
    c.setdefault("head_dim", 16)
    c["rope_parameters"] = rope(r, c)
    return c


def hunyuan(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3))
    c.setdefault("head_dim", 16)
    c["rope_parameters"] = rope(r, c, ("default", "dynamic", "dynamic"))
    if c["rope_parameters"]["rope_type"] == "dynamic" and flip(r, 0.8):
        c["rope_parameters"] |= dict(alpha=r.choice((2.0, 1000.0)), factor=1.0)
        c["max_position_embeddings"] = 256
    return c


def ernie(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), use_bias=flip(r, 0.3))
    c.setdefault("head_dim", 16)
    c["rope_parameters"] = rope(r, c, ("default",))
    return c


def starcoder2(r):
    c = shape(r) | dict(norm_epsilon=eps(r), use_bias=flip(r, 0.7), sliding_window=r.choice((None, window(r))))
    c["rope_parameters"] = rope(r, c)
    return c


def stablelm(r):
    c = shape(r, free_heads=False, sizes=(8, 16, 24)) | dict(
        layer_norm_eps=eps(r), use_qkv_bias=flip(r), qk_layernorm=flip(r), use_parallel_residual=flip(r))
    c["rope_parameters"] = rope(r, c, fractions=(0.25, 0.5, 1.0))
    return c


def nemotron(r):
    c = shape(r) | dict(norm_eps=eps(r), attention_bias=flip(r, 0.3), mlp_bias=flip(r, 0.3))
    c["rope_parameters"] = rope(r, c, fractions=(0.5, 1.0))
    return c


def sections(c):
    """How a rope of three axes shares its pairs; text goes along all three alike."""
    pairs = head_size(c) // 2
    return [pairs - 2 * (pairs // 3), pairs // 3, pairs // 3]


def qwen25_vl(r):
    c = shape(r, free_heads=False, sizes=(8, 16, 24)) | dict(rms_norm_eps=eps(r))
    upper_windows(r, c)
    c["rope_parameters"] = rope(r, c, ("default",)) | dict(mrope_section=sections(c))
    return c


def qwen3_vl(r):
    c = shape(r) | dict(rms_norm_eps=eps(r), attention_bias=flip(r, 0.3))
    c.setdefault("head_dim", 16)
    c["rope_parameters"] = rope(r, c, ("default",)) | dict(mrope_section=sections(c), mrope_interleaved=True)
    return c


# Towers that text never meets, as small as they can be.
TOWER = dict(hidden_size=8, intermediate_size=8, patch_size=4)
SIGLIP = TOWER | dict(model_type="siglip_vision_model", num_hidden_layers=1, num_attention_heads=2, image_size=8)
PIXTRAL = TOWER | dict(model_type="pixtral", num_hidden_layers=1, num_attention_heads=1, head_dim=8, image_size=8)
QWEN_VISION = TOWER | dict(depth=1, num_heads=1)

FAMILIES = {
    "llama": Family("LlamaConfig", "LlamaForCausalLM", llama),
    "qwen2": Family("Qwen2Config", "Qwen2ForCausalLM", qwen2),
    "qwen3": Family("Qwen3Config", "Qwen3ForCausalLM", qwen3),
    "mistral": Family("MistralConfig", "MistralForCausalLM", mistral),
    "ministral": Family("MinistralConfig", "MinistralForCausalLM", ministral),
    "ministral3": Family("Ministral3Config", "Ministral3ForCausalLM", ministral3, new=True),
    "gemma": Family("GemmaConfig", "GemmaForCausalLM", gemma, one_plus=True),
    "gemma2": Family("Gemma2Config", "Gemma2ForCausalLM", gemma2, one_plus=True, tolerance=5e-4),
    "gemma3_text": Family("Gemma3TextConfig", "Gemma3ForCausalLM", gemma3, one_plus=True, tolerance=5e-4),
    "phi": Family("PhiConfig", "PhiForCausalLM", phi),
    "phi3": Family("Phi3Config", "Phi3ForCausalLM", phi3),
    "smollm3": Family("SmolLM3Config", "SmolLM3ForCausalLM", smollm3),
    "granite": Family("GraniteConfig", "GraniteForCausalLM", granite),
    "olmo": Family("OlmoConfig", "OlmoForCausalLM", olmo),
    "olmo2": Family("Olmo2Config", "Olmo2ForCausalLM", olmo2),
    "olmo3": Family("Olmo3Config", "Olmo3ForCausalLM", olmo3),
    "cohere": Family("CohereConfig", "CohereForCausalLM", cohere),
    "cohere2": Family("Cohere2Config", "Cohere2ForCausalLM", cohere2),
    "glm": Family("GlmConfig", "GlmForCausalLM", glm),
    "glm4": Family("Glm4Config", "Glm4ForCausalLM", glm),
    "exaone4": Family("Exaone4Config", "Exaone4ForCausalLM", exaone4),
    "seed_oss": Family("SeedOssConfig", "SeedOssForCausalLM", seed_oss),
    "hunyuan_v1_dense": Family("HunYuanDenseV1Config", "HunYuanDenseV1ForCausalLM", hunyuan),
    "ernie4_5": Family("Ernie4_5Config", "Ernie4_5ForCausalLM", ernie),
    "starcoder2": Family("Starcoder2Config", "Starcoder2ForCausalLM", starcoder2),
    "stablelm": Family("StableLmConfig", "StableLmForCausalLM", stablelm),
    "nemotron": Family("NemotronConfig", "NemotronForCausalLM", nemotron, one_plus=True),
    "gemma3": Family(
        "Gemma3Config", "Gemma3ForConditionalGeneration", gemma3, one_plus=True, wraps="gemma3_text", vision=SIGLIP,
        tolerance=5e-4),
    "mistral3": Family(
        "Mistral3Config", "Mistral3ForConditionalGeneration", mistral, wraps="mistral", vision=PIXTRAL),
    "mistral3-ministral3": Family(
        "Mistral3Config", "Mistral3ForConditionalGeneration", ministral3, wraps="ministral3", vision=PIXTRAL, new=True),
    "qwen2_5_vl": Family(
        "Qwen2_5_VLConfig", "Qwen2_5_VLForConditionalGeneration", qwen25_vl, wraps="qwen2_5_vl_text",
        vision=QWEN_VISION | dict(fullatt_block_indexes=[0], window_size=8)),
    "qwen3_vl": Family(
        "Qwen3VLConfig", "Qwen3VLForConditionalGeneration", qwen3_vl, wraps="qwen3_vl_text",
        vision=QWEN_VISION | dict(num_position_embeddings=16, deepstack_visual_indexes=[0])),
}
