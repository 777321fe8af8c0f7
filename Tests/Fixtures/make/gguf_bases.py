"""Writes Tests/Fixtures/gguf/blocks.* and the bases in GGUF: real writers, gguf-py's own decoding as the yardstick.

gguf-py writes the files and quantizes what it can; libggml, which comes with llama-cpp-python, the K and IQ4 types.
A base is a random Llama of `bases.SHAPE`, converted as llama.cpp's `conversion/llama.py` does: names, rows of queries and
keys interleaved, Llama 3's rotary scaling as a tensor of divisors.
"""

import ctypes
import json
import math
from pathlib import Path

import bases
import common
import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file
from transformers import LlamaConfig, LlamaForCausalLM

OUTPUT = common.FIXTURES / "gguf"
Type = gguf.GGMLQuantizationType

# Bytes of a block where F16 numbers stand: random bits there would be infinities.
HALVES = {
    Type.Q8_0: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q2_K: [80, 82],
    Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.IQ4_NL: [0], Type.IQ4_XS: [0],
}
BY_LAYER = [
    dict(attn_q=Type.Q4_0, attn_k=Type.Q4_1, attn_v=Type.Q5_0, attn_output=Type.Q5_1, ffn_gate=Type.Q8_0,
         ffn_up=Type.IQ4_NL, ffn_down=Type.Q4_0),
    dict(attn_q=Type.Q8_0, attn_k=Type.F16, attn_v=Type.BF16, attn_output=Type.F32, ffn_gate=Type.Q5_0,
         ffn_up=Type.Q4_1, ffn_down=Type.IQ4_NL),
]
K_LAYER = dict(attn_q=Type.Q4_K, attn_k=Type.Q6_K, attn_v=Type.Q5_K, attn_output=Type.Q3_K, ffn_gate=Type.Q2_K,
               ffn_up=Type.IQ4_XS, ffn_down=Type.Q4_K)
PURE = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
K_SHAPE = dict(hidden_size=256, intermediate_size=256, num_hidden_layers=1, tie_word_embeddings=True)

# name -> (what differs from SHAPE, types by layer, of the embedding, of the head, parts)
BASES = {
    "gguf-classic.gguf": (dict(rope_parameters=bases.LLAMA3), BY_LAYER, Type.Q8_0, Type.Q5_1, 1),
    "gguf-k.gguf": (K_SHAPE, [K_LAYER], Type.Q6_K, None, 1),
    "gguf-q4_k.gguf": (K_SHAPE, [dict.fromkeys(PURE, Type.Q4_K)], Type.Q4_K, None, 1),
    "gguf-q8_0.gguf": (dict(num_hidden_layers=1), [dict.fromkeys(PURE, Type.Q8_0)], Type.Q8_0, Type.Q8_0, 1),
    "gguf-split-00001-of-00003.gguf": (
        dict(attention_bias=True, rope_parameters=bases.LINEAR), [{}, {}], Type.F16, Type.F16, 3),
}
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}


def libggml():
    import llama_cpp

    library = ctypes.CDLL(next(Path(llama_cpp.__file__).parent.glob("lib/libggml-base.so")))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library


def encode(values, kind):
    """The bytes of a float32 matrix in a type."""
    if kind in (Type.F32, Type.F16):
        return values.astype(np.float32 if kind == Type.F32 else np.float16)
    try:
        return quantize(values, kind)
    except NotImplementedError:
        values = np.ascontiguousarray(values, dtype=np.float32)
        rows, columns = values.shape
        block, size = gguf.GGML_QUANT_SIZES[kind]
        out = np.zeros((rows, columns // block * size), dtype=np.uint8)
        pointer = ctypes.POINTER(ctypes.c_float)
        libggml().ggml_quantize_chunk(
            ctypes.c_int(kind), values.ctypes.data_as(pointer), out.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(0), ctypes.c_int64(rows), ctypes.c_int64(columns), pointer())
        return out


def interleaved(values, heads):
    """Queries and keys as llama.cpp rotates them; on its own output it takes that back."""
    return values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def halves(values, heads):
    return values.reshape(heads, -1, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def config_of(name):
    config = LlamaConfig(**{**bases.SHAPE, **BASES[name][0]})
    config._attn_implementation = "eager"
    return config


def ggml_name(key):
    outer = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    module, part = key.rsplit(".", 1)
    if module in outer:
        return f"{outer[module]}.{part}"
    _, _, layer, rest = module.split(".", 3)
    return f"blk.{layer}.{NAMES[rest]}.{part}"


def kind_of(name, tensor, values):
    _, layers, embedding, head, _ = BASES[name]
    if values.ndim == 1:
        return Type.F32
    if tensor.startswith(("token_embd", "output.")):
        return embedding if tensor.startswith("token") else head
    _, layer, module, _ = tensor.split(".")
    return layers[int(layer)].get(module, Type.F16)


def add_metadata(writer, name, config):
    rope = config.rope_parameters
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)


def divisors(config):
    """Llama 3's scaling, as `conversion/llama.py` writes it."""
    rope, dim = config.rope_parameters, config.head_dim
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    context = rope["original_max_position_embeddings"]
    for frequency in 1.0 / (rope["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)):
        length = 2 * math.pi / frequency
        blend = (context / length - low) / (high - low)
        yield 1 if length < context / high else factor if length > context / low else 1 / ((1 - blend) / factor + blend)


def state_of(name, config):
    tied = config.tie_word_embeddings
    scale = (bases.SHAPE["hidden_size"] / config.hidden_size) ** 0.5  # wider rows add up more

    def weight(key, shape):
        values = bases.weight(key, shape, name, tied)
        return (values * scale if len(shape) == 2 else values).astype(np.float32)

    return {
        key: weight(key, tuple(value.shape))
        for key, value in LlamaForCausalLM(config).state_dict().items() if not (tied and key.startswith("lm_head"))
    }


def heads_of(key, config):
    if ".q_proj." in key:
        return config.num_attention_heads
    return config.num_key_value_heads if ".k_proj." in key else None


def write_base(name):
    config, parts = config_of(name), BASES[name][4]
    stem = name.split("-00001")[0].removesuffix(".gguf")
    state = state_of(name, config)
    writer = gguf.GGUFWriter(common.BASES / f"{stem}.gguf", "llama", split_max_tensors=-(-len(state) // parts) if parts > 1 else 0)
    add_metadata(writer, stem, config)
    for key, values in state.items():
        if heads := heads_of(key, config):
            values = interleaved(values, heads)
        tensor = ggml_name(key)
        kind = kind_of(name, tensor, values)
        writer.add_tensor(tensor, encode(values, kind), raw_dtype=kind)
    if config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", np.array(list(divisors(config)), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def dense_model(path):
    """A plain float32 LlamaForCausalLM with the weights of a file, as gguf-py decodes them."""
    path = Path(path)
    config = config_of(path.name)
    stem = path.name.split("-00001")[0]
    files = sorted(path.parent.glob(f"{stem}-*.gguf")) if stem != path.name else [path]
    tensors = {t.name: t for file in files for t in gguf.GGUFReader(file).tensors}
    model = LlamaForCausalLM(config).float().eval()
    state = {}
    for key in model.state_dict():
        if (tensor := tensors.get(ggml_name(key))) is None:
            assert key == "lm_head.weight" and config.tie_word_embeddings
            continue
        values = dequantize(tensor.data, tensor.tensor_type)
        if heads := heads_of(key, config):
            values = halves(values, heads)
        state[key] = torch.from_numpy(np.ascontiguousarray(values))
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    model.name_or_path = path.name
    return model


def write_blocks():
    """Every type: all bits random but for the scales, and what gguf-py makes of them."""
    rows, columns = 3, 256
    writer = gguf.GGUFWriter(OUTPUT / "blocks.gguf", "llama")
    decoded = {}
    for kind in [Type.F32, Type.F16, Type.BF16, *HALVES]:
        random = common.rng("blocks", kind.name)
        if kind not in HALVES:
            data = random.normal(0, 1, (rows, columns)).astype(np.float32)
            data = data if kind == Type.F32 else encode(data, kind)
        else:
            block, size = gguf.GGML_QUANT_SIZES[kind]
            data = random.integers(0, 256, (rows * columns // block, size), dtype=np.uint8)
            for offset in HALVES[kind]:
                scales = random.normal(0, 0.1, len(data)).astype(np.float16)
                scales[0] = np.float16(6e-8)  # the smallest there is
                data[:, offset : offset + 2] = scales.view(np.uint8).reshape(-1, 2)
            data = data.reshape(rows, -1)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        decoded[kind.name] = np.ascontiguousarray(dequantize(data, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(decoded, OUTPUT / "blocks.safetensors")


def main():
    OUTPUT.mkdir(exist_ok=True)
    write_blocks()
    for name in BASES:
        write_base(name)
        print(" ", name)


if __name__ == "__main__":
    main()
