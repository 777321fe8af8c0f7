#!/usr/bin/env python3
"""Writes a model of random_model.py (int8) as GGUF, for llama.cpp: the same weights, rounded to its formats.

    python3 write_gguf.py MODEL Q8_0|Q4_0 OUT.gguf

The head becomes Q8_0 and the embedding stays F16, as `--head q8` has them. There is no vocabulary.
"""

import json
import struct
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import quantize

NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}
NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
DTYPES = {"I8": np.int8, "F16": np.float16, "F32": np.float32}


class Safetensors:
    def __init__(self, path):
        self.bytes = np.memmap(path, np.uint8, "r")
        length = struct.unpack("<Q", self.bytes[:8].tobytes())[0]
        self.header = json.loads(self.bytes[8:8 + length].tobytes())
        self.start = 8 + length

    def __getitem__(self, name):
        entry = self.header[name]
        first, last = entry["data_offsets"]
        return self.bytes[self.start + first:self.start + last].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])


def decoded(tensors, name):
    return tensors[f"{name}.weight"].astype(np.float32) * (tensors[f"{name}.SCB"][:, None] / 127)


def interleaved(weight, heads):
    """llama.cpp rotates neighbouring pairs; Hugging Face rotates halves."""
    rows = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return rows.swapaxes(1, 2).reshape(weight.shape)


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in ("Q8_0", "Q4_0"):
        sys.exit(__doc__)
    folder, form = Path(sys.argv[1]), gguf.GGMLQuantizationType[sys.argv[2]]
    config = json.loads((folder / "config.json").read_text())
    tensors = Safetensors(folder / "model.safetensors")
    writer = gguf.GGUFWriter(sys.argv[3], "llama", use_temp_file=True)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")

    def add(name, values, as_type):
        if as_type is None:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, quantize(values, as_type), raw_dtype=as_type)

    add("token_embd.weight", tensors["model.embed_tokens.weight"], None)
    add("output_norm.weight", tensors["model.norm.weight"].astype(np.float32), None)
    add("output.weight", tensors["lm_head.weight"].astype(np.float32), gguf.GGMLQuantizationType.Q8_0)
    heads = {"self_attn.q_proj": config["num_attention_heads"], "self_attn.k_proj": config["num_key_value_heads"]}
    for layer in range(config["num_hidden_layers"]):
        for name, to in NORMS.items():
            add(f"blk.{layer}.{to}.weight", tensors[f"model.layers.{layer}.{name}.weight"].astype(np.float32), None)
        for name, to in NAMES.items():
            weight = decoded(tensors, f"model.layers.{layer}.{name}")
            if name in heads:
                weight = interleaved(weight, heads[name])
            add(f"blk.{layer}.{to}.weight", weight, form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
