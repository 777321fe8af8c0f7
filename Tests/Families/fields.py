#!/usr/bin/env python3
"""One field wrong at a time: no key of a configuration may be left out in silence.

    python3 Tests/Families/fields.py [--families REGEX] [--bin DIR]

Takes each model of Tests/Fixtures/families, sets one field of its config.json to another value, and asks transformers and
dora for the same text's log probabilities. The verdicts:

    equal      both answer alike, whether or not the field changed the answer
    refused    dora refuses; transformers answers, and otherwise than before. Allowed, but listed: it may be worth a feature
    strict     dora refuses; to transformers the field makes no difference. Listed: it may be too strict
    both       neither takes it, or transformers finds that the file lacks or has other tensors, and dora refuses
    lenient    dora takes null or nothing where transformers 5 asks for a value; transformers 4 did not, or the value cannot
               matter to text
    LENIENT    dora answers where transformers fails or the file's tensors do not fit: to be looked at
    WRONG      dora answers otherwise than transformers

Ends non-zero where anything is WRONG or LENIENT, or where a value of MUST_REFUSE is not refused by a message that
names its key.
"""

import argparse
import copy
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import torch
import transformers
from transformers import AutoConfig

import models
import reference
from families import FAMILIES
from fixture_configs import CONFIGS
from server import EXACT, Refused, Server, program

FIXTURES = HERE.parent / "Fixtures/families"
# Tried where the configuration has the key; DROP leaves it out.
DROP = object()
PRESENT = {
    "rms_norm_eps": [DROP, 0.1], "layer_norm_eps": [DROP, 0.1], "norm_eps": [DROP, 0.1], "norm_epsilon": [DROP, 0.1],
    "head_dim": [DROP, None, 16], "num_key_value_heads": [DROP, None, 1, 4], "num_attention_heads": [2],
    "tie_word_embeddings": [DROP, True, False], "sliding_window": [DROP, None, 3, 1000],
    "use_sliding_window": [DROP, True, False], "max_window_layers": [DROP, 0, 9], "sliding_window_pattern": [DROP, 3],
    "layer_types": [DROP, "all full", "all sliding"], "rope_theta": [DROP, 77.0], "rope_local_base_freq": [DROP, 77.0],
    "partial_rotary_factor": [DROP, 1.0, 0.25], "attention_bias": [DROP, True, False], "mlp_bias": [DROP, True, False],
    "use_bias": [DROP, True, False], "use_qkv_bias": [DROP, False], "attention_out_bias": [DROP, False],
    "qk_layernorm": [DROP, True, False], "use_qk_norm": [DROP, True, False], "use_parallel_residual": [DROP, True, False],
    "hidden_act": [DROP, "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "relu2"],
    "hidden_activation": [DROP, "gelu", "silu", "relu"],
    "query_pre_attn_scalar": [DROP, 40], "attn_logit_softcapping": [DROP, None, 1.0],
    "final_logit_softcapping": [DROP, None, 1.0], "embedding_multiplier": [DROP, 2.0], "logits_scaling": [DROP, 3.0],
    "residual_multiplier": [DROP, 0.9], "attention_multiplier": [DROP, 0.5], "logit_scale": [DROP, 0.7, None],
    "clip_qkv": [DROP, None, 0.1], "no_rope_layers": [DROP, "none"], "no_rope_layer_interval": [DROP, 2],
    "original_max_position_embeddings": [DROP, 32], "max_position_embeddings": [DROP, 48, 128],
    "pretraining_tp": [2], "initializer_range": [0.5], "use_cache": [False], "pad_token_id": [5],
}
# Fields within a rope, in either spelling.
ROPE = {
    "rope_type": [DROP, "default", "linear"], "type": [DROP], "factor": [DROP, 3.0], "rope_theta": [77.0],
    "original_max_position_embeddings": [DROP, 20], "low_freq_factor": [DROP, 2.0], "high_freq_factor": [DROP, 8.0],
    "attention_factor": [0.7], "beta_fast": [4.0], "beta_slow": [0.25], "mscale": [DROP, 0.5], "mscale_all_dim": [DROP],
    "truncate": [False], "alpha": [DROP, 10.0], "llama_4_scaling_beta": [DROP, 0.0], "partial_rotary_factor": [1.0],
    "mrope_section": [DROP], "mrope_interleaved": [False], "short_factor": [[1.0]], "long_factor": [DROP, [1.0]],
}
# Tried in such ropes also where they are not given.
ADDED = {
    "yarn": ("attention_factor", "beta_fast", "beta_slow", "mscale", "truncate"),
    "longrope": ("attention_factor", "factor"), "default": ("rope_type",),
}
# Whatever the family, nothing but a refusal is right. The key stands in the message.
MUST_REFUSE = {
    "hidden_act": ["no_such_activation"], "layer_types": ["chunked", "too short"], "num_key_value_heads": [3],
    "head_dim": [7], "hidden_size": [-1], "num_hidden_layers": [0], "vocab_size": ["many"],
    "quantization_config": [{"quant_method": "no_such_method", "bits": 4}], "model_type": ["no_such_family"],
    "rope_parameters": [{"rope_type": "no_such_rope", "rope_theta": 100.0}], "use_bidirectional_attention": [True],
    "sliding_window": ["wide", -1], "rms_norm_eps": [-1.0, "small"],
}
# transformers 5 leaves null where they are left out, and fails; a picture's positions are no text's.
OPTIONAL = {"head_dim", "rope_scaling.mrope_section"}
# Where a key is read at all.
ONLY = {
    "use_bidirectional_attention": {"gemma", "gemma2", "gemma3_text"},
    "layer_types": {"qwen2", "qwen3", "ministral", "gemma2", "gemma3_text", "smollm3", "olmo3", "cohere2", "exaone4"},
    "hidden_act": set(FAMILIES) - {"gemma2", "gemma3_text", "gemma3"},
}


def changed(config, key, value):
    """A copy with one field of the text part set."""
    config = copy.deepcopy(config)
    text = config.get("text_config", config)
    if key in ("tie_word_embeddings", "model_type", "quantization_config"):
        text = config
    layers = config.get("text_config", config)["num_hidden_layers"]
    if value is DROP:
        text.pop(key, None)
    elif key == "layer_types":
        text[key] = {"all full": ["full_attention"] * layers, "all sliding": ["sliding_attention"] * layers,
                     "chunked": ["chunked_attention"] * layers, "too short": ["full_attention"] * (layers - 1)}[value]
    elif key == "no_rope_layers":
        text[key] = [0] * layers
    elif key == "rope_parameters":
        text.pop("rope_scaling", None)  # it would win
        text[key] = value
    else:
        text[key] = value
    return config


def with_rope(config, path, key, value):
    config = copy.deepcopy(config)
    rope = config.get("text_config", config)
    for step in path:
        rope = rope[step]
    if value is DROP:
        rope.pop(key, None)
    else:
        rope[key] = value
    return config


def ropes(config):
    """Paths of the dictionaries that describe a rope."""
    text = config.get("text_config", config)
    for name in ("rope_parameters", "rope_scaling"):
        if isinstance(rope := text.get(name), dict):
            nested = [key for key, value in rope.items() if isinstance(value, dict)]
            yield from ([name, key] for key in nested) if nested else [[name]]


def variants(config, family_name):
    """(key, value, configuration, must be refused)"""
    text = config.get("text_config", config)
    for key, values in PRESENT.items():
        if key in text or key in config:
            for value in values:
                yield key, value, changed(config, key, value), False
    for path in ropes(config):
        rope = text
        for step in path:
            rope = rope[step]
        for key, values in ROPE.items():
            if key not in rope and key not in ADDED.get(rope.get("rope_type", rope.get("type")), ()):
                continue
            for value in values:
                if value is not DROP or key in rope:
                    yield ".".join([*path, key]), value, with_rope(config, path, key, value), False
    for key, values in MUST_REFUSE.items():
        if key in ONLY and family_name not in ONLY[key] or key in ("rms_norm_eps", "sliding_window") and key not in text:
            continue
        for value in values:
            yield key, value, changed(config, key, value), True


def theirs(family, folder, prompt):
    """transformers' log probabilities, or why there are none."""
    try:
        config = AutoConfig.from_pretrained(folder)
        config._attn_implementation = "eager"
        model, info = getattr(transformers, family.model).from_pretrained(
            folder, config=config, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        if tensors := [*info["missing_keys"], *info["unexpected_keys"]]:
            return f"tensors {tensors[0]} …"
        rows = reference.logprobs(reference.whole(model.eval(), prompt)[:-1])
        return [row[token].item() for row, token in zip(rows, prompt[1:])]
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def ours(binary, folder, prompt):
    try:
        with Server(binary, folder, None, *EXACT, "--kv-memory", "16MiB") as server:
            reply, = server.ask([dict(token_ids=prompt, no_special=True, score=True)])
    except Refused as refused:
        return str(refused)
    return reply["error"]["message"] if "error" in reply else [entry["logprob"] for entry in reply["logprobs"]]


def distance(a, b):
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def verdict(before, expected, found, key, value):
    if isinstance(expected, str):
        return "both" if isinstance(found, str) else "lenient" if value is None or value is DROP and key in OPTIONAL else "LENIENT"
    if isinstance(found, str):
        return "strict" if distance(before, expected) < 1e-5 else "refused"
    return "equal" if distance(expected, found) < 2e-4 else "WRONG"


def check(name, binary, show):
    family = FAMILIES[CONFIGS[name][0]]
    source = FIXTURES / name / "base"
    config = json.loads((source / "config.json").read_text())
    prompt = json.loads((FIXTURES / name / "golden.json").read_text())["cases"][0]["prompts"][1]["prompt_ids"]
    before = theirs(family, source, prompt)
    assert not isinstance(before, str), before
    counts, failed = Counter(), False
    with tempfile.TemporaryDirectory(prefix="dora-families-") as folder:
        folder = Path(folder)
        shutil.copy(source / "model.safetensors", folder)
        for key, value, other, must_refuse in variants(config, CONFIGS[name][0]):
            if other == config:
                continue
            (folder / "config.json").write_text(json.dumps(other))
            found = ours(binary, folder, prompt) if binary else "not asked"
            shown = "left out" if value is DROP else json.dumps(value)[:50]
            if must_refuse:
                if not binary:
                    continue
                word = "both" if isinstance(found, str) and key in found else "NOT REFUSED BY NAME"
                expected = "must be refused"
            else:
                expected = theirs(family, folder, prompt)
                word = verdict(before, expected, found, key, value)
            if not binary:  # what the field does to transformers
                word = "fails" if isinstance(expected, str) else "inert" if word == "strict" else "matters"
                found = expected if isinstance(expected, str) else f"by {distance(before, expected):.1e}"
            counts[word] += 1
            failed |= word.isupper()
            if word not in ("equal", "both") and show:
                detail = next((text for text in (found, expected) if isinstance(text, str)), None)
                detail = detail or f"off by {distance(expected, found):.1e}"
                print(f"  {name}: {key} = {shown}: {word}: {detail}".replace("\n", " ")[:240], flush=True)
    print(f"{name:22} {dict(counts)}", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default="", help="regular expression of the fixtures' names")
    parser.add_argument("--bin", type=Path, default=HERE.parent.parent / ".build/release")
    parser.add_argument("--quiet", action="store_true", help="counts only")
    parser.add_argument("--reference-only", action="store_true", help="say what transformers does; ask dora nothing")
    options = parser.parse_args()
    binary = None if options.reference_only else program(options.bin, "dora-serve")
    names = [name for name in CONFIGS if re.search(options.families, name)]
    if any([check(name, binary, not options.quiet) for name in names]):
        sys.exit(1)


if __name__ == "__main__":
    main()
