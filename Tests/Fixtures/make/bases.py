"""Writes Tests/Fixtures/bases: tiny Llama checkpoints in Hugging Face layout, random but lively."""

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import common
import decode
import numpy as np
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

SHAPE = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    vocab_size=128, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, rms_norm_eps=1e-5,
    tie_word_embeddings=False,
)
RAGGED = dict(
    hidden_size=72, intermediate_size=100, num_attention_heads=3, num_key_value_heads=1, vocab_size=125)
SOURCE = dict(num_hidden_layers=1)  # these are many, so small
ODD = dict(SOURCE, hidden_size=80, intermediate_size=100, num_attention_heads=5, num_key_value_heads=1)
LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
LINEAR = dict(rope_type="linear", rope_theta=10000.0, factor=4.0)
LEGACY_LINEAR = dict(rope_type="linear", rope_theta=10000.0, factor=2.0)

# name -> (dtype, what differs from SHAPE). `shards` and `spelling` are about the files only.
DENSE = {
    "gqa-f32": ("float32", {}),
    "tied-f32": ("float32", dict(tie_word_embeddings=True)),
    "llama3-rope": ("bfloat16", dict(rope_parameters=LLAMA3, spelling="v4")),
    "linear-rope": ("bfloat16", dict(rope_parameters=LINEAR)),
    "biases": ("bfloat16", dict(attention_bias=True, mlp_bias=True)),
    "head-dim": ("bfloat16", dict(head_dim=24)),
    "head-dim-8": ("bfloat16", dict(head_dim=8, num_attention_heads=8, num_key_value_heads=8)),
    "bf16": ("bfloat16", dict(num_hidden_layers=3, num_key_value_heads=1)),
    "f16": ("float16", dict(vocab_size=125)),
    "sharded": ("bfloat16", dict(shards="60KB")),
    "old-config": ("float16", dict(num_key_value_heads=4, rope_parameters=LEGACY_LINEAR, spelling="llama-2")),
    "source-f32": ("float32", SOURCE),
    "source-f16": ("float16", SOURCE),
    "source-bf16": ("bfloat16", SOURCE),
    "source-odd": ("bfloat16", ODD),
}
MODES = {
    "int8": dict(load_in_8bit=True),
    "nf4": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "nf4-double": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
    "fp4": dict(load_in_4bit=True, bnb_4bit_quant_type="fp4"),
    "fp4-double": dict(load_in_4bit=True, bnb_4bit_quant_type="fp4", bnb_4bit_use_double_quant=True),
}
# name -> (dtype the weights had, mode, further bitsandbytes options, what differs from SHAPE)
QUANTIZED = {
    "int8": ("float16", "int8", {}, {}),
    "int8-biases": ("bfloat16", "int8", {}, dict(attention_bias=True, mlp_bias=True)),
    "nf4": ("bfloat16", "nf4", dict(bnb_4bit_compute_dtype="bfloat16"), {}),
    "nf4-double": ("float16", "nf4-double", dict(bnb_4bit_compute_dtype="float16"), {}),
    "fp4": ("float32", "fp4", {}, {}),
    "fp4-double": ("bfloat16", "fp4-double", dict(bnb_4bit_compute_dtype="float32"), {}),
    "nf4-storage-bf16": ("bfloat16", "nf4", dict(bnb_4bit_quant_storage="bfloat16"), {}),
    "nf4-storage-f32": ("float16", "nf4-double", dict(bnb_4bit_quant_storage="float32"), {}),
    "nf4-ragged": ("bfloat16", "nf4", {}, RAGGED),
    "nf4-double-ragged": ("float16", "nf4-double", {}, RAGGED),
    "nf4-tied": ("bfloat16", "nf4", {}, dict(tie_word_embeddings=True)),
}
SOURCES = ("source-f32", "source-f16", "source-bf16", "source-odd")
LOAD_MODES = ("int8", "nf4", "nf4-double", "fp4")


def weight(key, shape, seed, tied):
    """Scales chosen so that logits are of order 1 to 10 and every matrix matters."""
    random = common.rng("base", seed, key)
    if key.endswith("norm.weight"):
        return random.uniform(0.5, 1.5, shape)
    if key.endswith("bias"):
        return random.normal(0, 0.3, shape)
    std = {"embed_tokens": 0.3 if tied else 0.6, "lm_head": 0.3, "q_proj": 0.17, "k_proj": 0.17}
    return random.normal(0, next((s for name, s in std.items() if name in key), 0.13), shape)


def build(name, dtype, options):
    options = dict(options)
    shards, spelling = options.pop("shards", "1GB"), options.pop("spelling", "v5")
    config = LlamaConfig(**{**SHAPE, **options})
    model = LlamaForCausalLM(config)
    state = {
        key: torch.from_numpy(weight(key, tuple(value.shape), name, config.tie_word_embeddings))
        for key, value in model.state_dict().items()
    }
    model.load_state_dict({k: v.float() for k, v in state.items()})
    model.tie_weights()
    return model.to(getattr(torch, dtype)), shards, spelling


def respell(folder, spelling):
    """Rewrites config.json the way older writers spelled it."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if spelling == "v5":
        return
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["torch_dtype"] = config.pop("dtype")
    config["rope_scaling"] = rope
    config["transformers_version"] = "4.43.0"
    if spelling == "llama-2":
        config["rope_scaling"] = {"type": rope["rope_type"], "factor": rope["factor"]}
        config["transformers_version"] = "4.31.0"
        for later in ("head_dim", "num_key_value_heads", "attention_bias", "mlp_bias", "attention_dropout"):
            config.pop(later, None)
    common.write_json(path, dict(sorted(config.items())), indent=2)


def write_dense(name, dtype, options, folder):
    model, shards, spelling = build(name, dtype, options)
    model.save_pretrained(folder, max_shard_size=shards)
    respell(folder, spelling)


def quantize(source, mode, extra, folder):
    """What transformers and bitsandbytes write when they quantize a checkpoint at its own dtype."""
    bnb = BitsAndBytesConfig(**MODES[mode], **extra)
    model = AutoModelForCausalLM.from_pretrained(
        source, quantization_config=bnb, dtype="auto", device_map={"": "cpu"})
    model.save_pretrained(folder)


def write_digests(name):
    """golden/decoded/<base>.json, and the comparison with the library on the way."""
    stored = common.checkpoint(common.BASES / name)
    decoded = decode.all_linears(stored)
    assert decoded, f"{name}: nothing is quantized"
    compared = sum(decode.check(stored, module, w) for module, w in decoded.items())
    digests = {module: decode.digest(w) for module, w in decoded.items()}
    common.write_json(common.GOLDEN / "decoded" / f"{name}.json", digests, indent=2)
    print(f"  {name}: {len(decoded)} quantized, {compared} equal to bitsandbytes bit for bit")


def main(wanted):
    def skip(name):
        return wanted and not re.search(wanted, name)

    for name, (dtype, options) in DENSE.items():
        if skip(name):
            continue
        shutil.rmtree(common.BASES / name, ignore_errors=True)
        write_dense(name, dtype, options, common.BASES / name)
        print(" ", name)
    for name, (dtype, mode, extra, options) in QUANTIZED.items():
        if skip(name):
            continue
        shutil.rmtree(common.BASES / name, ignore_errors=True)
        with tempfile.TemporaryDirectory() as scratch:
            write_dense(name, dtype, options, Path(scratch))
            quantize(scratch, mode, extra, common.BASES / name)
        write_digests(name)
    for source in SOURCES:
        for mode in LOAD_MODES:
            if skip(name := f"{source}-{mode}"):
                continue
            shutil.rmtree(common.BASES / name, ignore_errors=True)
            quantize(common.BASES / source, mode, {}, common.BASES / name)
            write_digests(name)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
