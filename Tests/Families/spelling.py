"""Configurations as other versions of transformers spell them; a key that holds its class's default may be missing."""

import copy
import typing

import transformers

ROPE_TYPES = ("sliding_attention", "full_attention")
# Never left out: without them there is no telling what a file is.
KEPT = {"model_type", "head_dim", "architectures", "dtype", "torch_dtype", "vocab_size", "hidden_size", "intermediate_size",
        "num_hidden_layers", "num_attention_heads", "text_config", "vision_config", "rope_parameters", "rope_scaling",
        "transformers_version", "layer_types"}
# What transformers 4 wrote into files and nobody reads.
INERT = {"use_cache": True, "attention_dropout": 0.0, "initializer_range": 0.02, "_name_or_path": "somewhere/else"}


def respell(config, cls, family, r):
    """`config` (a dictionary, as saved) in a random spelling."""
    old = not family.new and r.random() < 0.5
    if family.wraps:
        text = config["text_config"]
        text_cls = type(transformers.AutoConfig.for_model(text["model_type"]))
        config["text_config"] = fields(text, text_cls, old, r)
        if old:
            config["torch_dtype"] = config.pop("dtype", None)
        return config
    return fields(config, cls, old, r)


def fields(config, cls, old, r):
    defaults = cls().to_dict()
    if old:
        config = version4(config, r)
    if r.random() < 0.6:
        config = without_layer_types(config, cls)
    for key, value in list(config.items()):
        if key not in KEPT and key in defaults and defaults[key] == value and r.random() < 0.5:
            del config[key]
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    # In ministral and with ntk-alpha transformers 5.23 itself stumbles over a head_dim that is not there.
    derives = config["model_type"] not in ("ministral", "hunyuan_v1_dense")
    if config.get("num_key_value_heads") == heads and nullable(cls, "num_key_value_heads") and r.random() < 0.5:
        config["num_key_value_heads"] = None
    if derives and config.get("head_dim") == hidden // heads and nullable(cls, "head_dim") and r.random() < 0.5:
        config["head_dim"] = None
    config |= {key: value for key, value in INERT.items() if r.random() < 0.1}
    return config


# Families whose older files say how often a layer sees all.
PATTERNED = ("gemma3_text", "cohere2")


def without_layer_types(config, cls):
    """Where the list follows from other keys, without it; or with the distance of full layers in its place."""
    if (types := config.get("layer_types")) is None:
        return config
    rest = {key: value for key, value in config.items() if key != "layer_types"}
    patterns = (2, 3, 4) if config["model_type"] in PATTERNED else ()
    for more in ({}, *({"sliding_window_pattern": pattern} for pattern in patterns)):
        try:
            if cls(**copy.deepcopy(rest | more)).layer_types == types:
                return rest | more
        except (ZeroDivisionError, TypeError):  # exaone4: the pattern of a null window, or one in letters
            pass
    return config


def nullable(cls, key):
    try:
        return type(None) in typing.get_args(typing.get_type_hints(cls)[key])
    except (KeyError, NameError):
        return False


def version4(config, r):
    """rope_theta, rope_scaling and partial_rotary_factor in place of rope_parameters; torch_dtype."""
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = r.choice(("4.38.0", "4.51.3"))
    rope = config.pop("rope_parameters", None)
    if rope is None:
        return config
    # In a rope for each kind of layer, transformers 5.23 does not read `type`.
    names = r.choice((("type",), ("rope_type",), ("type", "rope_type")))
    if all(key in ROPE_TYPES for key in rope):
        names = r.choice((("rope_type",), ("type", "rope_type")))
        full, sliding = rope.get("full_attention"), rope.get("sliding_attention")
        if config["model_type"] == "gemma3_text" and sliding:
            config["rope_local_base_freq"] = sliding["rope_theta"]
        rope = full or dict(rope_type="default", rope_theta=sliding["rope_theta"])
    rope = dict(rope)
    config["rope_theta"] = rope.pop("rope_theta")
    fraction = rope.pop("partial_rotary_factor", None)
    if fraction is not None:
        config["partial_rotary_factor"] = fraction
    kind = rope.pop("rope_type")
    rope.pop("type", None)
    if "mrope_section" in rope:
        word = "mrope" if config["model_type"].startswith("qwen2") and r.random() < 0.5 else "default"
        rope = {"type": word, **rope} if r.random() < 0.5 else {"rope_type": word, "type": word, **rope}
        config["rope_scaling"] = rope
    elif kind == "default":
        if r.random() < 0.5:
            config["rope_scaling"] = None
    else:
        if config["model_type"] == "phi3":
            rope.pop("original_max_position_embeddings", None)
        config["rope_scaling"] = {**{name: kind for name in names}, **rope}
    return config
