"""llama.cpp on the same texts: its arithmetic against F32 on the weights that its own file decodes to."""

import ctypes
import json
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

import llama_cpp as ll
import reference

sys.path.append(str(Path(__file__).resolve().parent.parent / "peers"))
from llama_cpp_run import decode
from write_gguf import NAMES, NORMS, interleaved

HEAD = gguf.GGMLQuantizationType.Q8_0


def write(checkpoint, form, file):
    """The linear layers in one of llama.cpp's formats, the head in Q8_0; returns the decoded weights by their names."""
    config = json.loads((checkpoint / "config.json").read_text())
    tensors = {name: value.astype(np.float32) for name, value in load_file(checkpoint / "model.safetensors").items()}
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    embedding = tensors["model.embed_tokens.weight"]
    writer.add_tensor("token_embd.weight", embedding.astype(np.float16))
    writer.add_tensor("output_norm.weight", tensors["model.norm.weight"])
    writer.add_tensor("output.weight", quantize(embedding, HEAD), raw_dtype=HEAD)
    decoded = {"lm_head.weight": dequantize(quantize(embedding, HEAD), HEAD)}
    heads = {"self_attn.q_proj": config["num_attention_heads"], "self_attn.k_proj": config["num_key_value_heads"]}
    for layer in range(config["num_hidden_layers"]):
        for name, to in NORMS.items():
            writer.add_tensor(f"blk.{layer}.{to}.weight", tensors[f"model.layers.{layer}.{name}.weight"])
        for name, to in NAMES.items():
            weight = tensors[f"model.layers.{layer}.{name}.weight"]
            decoded[f"model.layers.{layer}.{name}.weight"] = dequantize(quantize(weight, form), form)
            if name in heads:
                weight = interleaved(weight, heads[name])
            writer.add_tensor(f"blk.{layer}.{to}.weight", quantize(weight, form), raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return decoded


def exact(checkpoint, decoded):
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())  # no longer the embedding
    with torch.no_grad():
        for name, value in decoded.items():
            model.get_parameter(name).copy_(torch.from_numpy(value))
    return model


class Context:
    def __init__(self, file, threads):
        silent = ll.llama_log_callback(lambda level, text, data: None)
        ll.llama_log_set(silent, ctypes.c_void_p(0))
        self.silent = silent  # the library keeps only the address
        ll.llama_backend_init()
        self.model = ll.llama_model_load_from_file(file.encode(), ll.llama_model_default_params())
        settings = ll.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = 512
        settings.n_threads = settings.n_threads_batch = threads
        self.context = ll.llama_init_from_model(self.model, settings)
        self.vocabulary = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))

    def predictions(self, ids):
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)
        decode(self.context, [(token, position, 0) for position, token in enumerate(ids[:-1])], False)
        rows = [np.ctypeslib.as_array(ll.llama_get_logits_ith(self.context, i), (self.vocabulary,)).copy()
                for i in range(len(ids) - 1)]
        return torch.log_softmax(torch.from_numpy(np.stack(rows)).double(), -1)


def divergence(checkpoint, work, chats, name):
    """Mean KL and share of equal first choices of llama.cpp in the format `name`."""
    with tempfile.NamedTemporaryFile(dir=work, suffix=".gguf") as file:
        model = exact(checkpoint, write(checkpoint, gguf.GGMLQuantizationType[name], file.name))
        context = Context(file.name, torch.get_num_threads())
    total, equal, count = 0.0, 0, 0
    for ids in chats:
        p, q = reference.predictions(model, ids).double(), context.predictions(ids)
        total += (p.exp() * (p - q)).sum().item()
        equal += (p.argmax(-1) == q.argmax(-1)).sum().item()
        count += len(ids) - 1
    return total / count, equal / count


def flags():
    return ll.llama_print_system_info().decode().strip()
