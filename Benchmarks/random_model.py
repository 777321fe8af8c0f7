#!/usr/bin/env python3
"""Writes a model of a real shape with random weights, and a DoRA adapter for it, tensor by tensor.

    python3 random_model.py 1.1b int8 /tmp/model           # TinyLlama's shape, LLM.int8
    python3 random_model.py 8b nf4-double /tmp/model       # Llama-3.1-8B's shape
    python3 random_model.py 8b adapter /tmp/adapter        # FinLoRA's: q/k/v, r=8, alpha=16
    python3 random_model.py 8b adapter-all /tmp/adapter    # all linear layers, r=16

Needs numpy only. At most one tensor is in memory at a time. There is no tokenizer: use --token-ids.
"""

import json
import struct
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np

SHAPES = {
    "1.1b": dict(hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32,
                 num_key_value_heads=4, vocab_size=32000, max_position_embeddings=8192, rope_theta=10000.0),
    "8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
               num_key_value_heads=8, vocab_size=128256, max_position_embeddings=131072, rope_theta=500000.0,
               rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                 original_max_position_embeddings=8192)),
}
FORMATS = ("bf16", "f16", "int8", "nf4", "nf4-double")
NF4 = np.array([-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                0.7229568362236023, 1], np.float32)
DEVIATION = 0.02
# Equally likely values of a normal distribution: one is drawn with sixteen random bits, in any format at once.
NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / 65536) for i in range(65536)], np.float32)


def linears(shape):
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    keys = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    for layer in range(shape["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, out, inputs in [
            ("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", keys, hidden),
            ("self_attn.v_proj", keys, hidden), ("self_attn.o_proj", hidden, hidden),
            ("mlp.gate_proj", inner, hidden), ("mlp.up_proj", inner, hidden), ("mlp.down_proj", hidden, inner),
        ]:
            yield prefix + name, out, inputs


class Writer:
    """A safetensors file whose header is known before any tensor is made."""

    def __init__(self):
        self.entries = []

    def add(self, name, dtype, shape, make):
        size = {"F32": 4, "BF16": 2, "F16": 2, "I8": 1, "U8": 1}[dtype]
        self.entries.append((name, dtype, list(shape), int(np.prod(shape)) * size, make))

    def write(self, path):
        header, end = {"__metadata__": {"format": "pt"}}, 0
        for name, dtype, shape, size, _ in self.entries:
            header[name] = dict(dtype=dtype, shape=shape, data_offsets=[end, end + size])
            end += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name, _, _, size, make in self.entries:
                data = make()
                assert data.nbytes == size, name
                data.tofile(file)


def normal(rng, shape, deviation=DEVIATION):
    return rng.standard_normal(shape, np.float32) * np.float32(deviation)


def drawn(rng, table, shape):
    out = np.empty(shape, table.dtype)
    flat = out.reshape(-1)
    for first in range(0, flat.size, 1 << 20):
        some = flat[first:first + (1 << 20)]
        some[:] = table[rng.integers(0, 65536, some.size, np.uint16)]
    return out


def sixteen(values, dtype):
    if dtype == "F16":
        return values.astype(np.float16)
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def add_linear(file, rng, name, out, inputs, form):
    weight = f"{name}.weight"
    if form in ("bf16", "f16"):
        dtype = form.upper()
        file.add(weight, dtype, (out, inputs), lambda: drawn(rng, sixteen(NORMAL * np.float32(DEVIATION), dtype), (out, inputs)))
    elif form == "int8":
        # Codes of a normal matrix whose largest value in a row is four deviations.
        file.add(weight, "I8", (out, inputs),
                 lambda: drawn(rng, np.clip(np.rint(NORMAL * (127 / 4)), -127, 127).astype(np.int8), (out, inputs)))
        file.add(f"{name}.SCB", "F32", (out,), lambda: np.full(out, 4 * DEVIATION, np.float32))
    else:
        add_four_bit(file, rng, weight, out, inputs, double=form == "nf4-double")


def add_four_bit(file, rng, weight, out, inputs, double):
    count = out * inputs
    blocks = count // 64
    state = dict(quant_type="nf4", blocksize=64, dtype="bfloat16", shape=[out, inputs])
    # Indices of normal values whose block maximum is 2.5 deviations.
    table = np.searchsorted((NF4[:-1] + NF4[1:]) / 2, np.clip(NORMAL / 2.5, -1, 1)).astype(np.uint8)

    def indices():
        return drawn(rng, table << 4, count // 2) | drawn(rng, table, count // 2)

    file.add(weight, "U8", (count // 2, 1), indices)
    if double:
        state.update(nested_blocksize=256, nested_dtype="float32", nested_offset=2.5 * DEVIATION)
        groups = -(-blocks // 256)
        file.add(f"{weight}.absmax", "U8", (blocks,), lambda: rng.integers(0, 256, blocks, np.uint8))
        file.add(f"{weight}.nested_absmax", "F32", (groups,), lambda: np.full(groups, 0.2 * DEVIATION, np.float32))
        file.add(f"{weight}.nested_quant_map", "F32", (256,), lambda: np.linspace(-1, 1, 256, dtype=np.float32))
    else:
        file.add(f"{weight}.absmax", "F32", (blocks,), lambda: np.full(blocks, 2.5 * DEVIATION, np.float32))
    file.add(f"{weight}.quant_map", "F32", (16,), lambda: NF4)
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    file.add(f"{weight}.quant_state.bitsandbytes__nf4", "U8", text.shape, lambda: text)


def write_model(shape, form, folder):
    rng = np.random.default_rng(1)
    hidden, vocabulary = shape["hidden_size"], shape["vocab_size"]
    dtype = "F16" if form in ("f16", "int8") else "BF16"
    file = Writer()
    file.add("model.embed_tokens.weight", dtype, (vocabulary, hidden),
             lambda: drawn(rng, sixteen(NORMAL * np.float32(DEVIATION), dtype), (vocabulary, hidden)))
    for name, out, inputs in linears(shape):
        add_linear(file, rng, name, out, inputs, form)
    ones = sixteen(np.ones(hidden, np.float32), dtype)
    for layer in range(shape["num_hidden_layers"]):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            file.add(f"model.layers.{layer}.{norm}.weight", dtype, (hidden,), lambda: ones)
    file.add("model.norm.weight", dtype, (hidden,), lambda: ones)
    file.add("lm_head.weight", dtype, (vocabulary, hidden),
             lambda: drawn(rng, sixteen(NORMAL * np.float32(DEVIATION), dtype), (vocabulary, hidden)))
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", rms_norm_eps=1e-5,
                  tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, **shape)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    file.write(folder / "model.safetensors")


def write_adapter(shape, folder, every):
    rng = np.random.default_rng(2)
    rank, alpha = (16, 32) if every else (8, 16)
    targets = {"q_proj", "k_proj", "v_proj"}
    file = Writer()
    for name, out, inputs in linears(shape):
        if not every and name.rsplit(".", 1)[1] not in targets:
            continue
        key = f"base_model.model.{name}"
        norm = DEVIATION * inputs**0.5
        file.add(f"{key}.lora_A.weight", "F32", (rank, inputs),
                 lambda i=inputs: normal(rng, (rank, i), i**-0.5))
        file.add(f"{key}.lora_B.weight", "F32", (out, rank), lambda o=out: normal(rng, (o, rank), 0.05))
        file.add(f"{key}.lora_magnitude_vector", "F32", (out,),
                 lambda o=out, n=norm: np.float32(n) * rng.uniform(0.9, 1.1, o).astype(np.float32))
    config = dict(peft_type="LORA", task_type="CAUSAL_LM", r=rank, lora_alpha=alpha, use_dora=True,
                  target_modules=sorted(targets) if not every else sorted({n.rsplit(".", 1)[1] for n, _, _ in linears(shape)}),
                  base_model_name_or_path="random", bias="none", fan_in_fan_out=None, lora_dropout=0.05)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2))
    file.write(folder / "adapter_model.safetensors")


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in SHAPES or sys.argv[2] not in FORMATS + ("adapter", "adapter-all"):
        sys.exit(__doc__)
    shape, form, folder = SHAPES[sys.argv[1]], sys.argv[2], Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    if form.startswith("adapter"):
        write_adapter(shape, folder, every=form == "adapter-all")
    else:
        write_model(shape, form, folder)


if __name__ == "__main__":
    main()
