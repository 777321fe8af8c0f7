"""Folders, seeds, JSON and the dense float32 model that every reference starts from."""

import json
import os
import zlib
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, LlamaForCausalLM
from transformers.utils import logging

import decode

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)
torch.set_grad_enabled(False)

FIXTURES = Path(__file__).resolve().parent.parent
BASES = FIXTURES / "bases"
ADAPTERS = FIXTURES / "adapters"
GOLDEN = FIXTURES / "golden"


def rng(*name):
    """A generator that depends on the names only, so adding a fixture leaves the others alone."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, name)).encode()))


def write_json(path, value, indent=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    separators = (",", ":") if indent is None else None
    path.write_text(json.dumps(value, indent=indent, separators=separators) + "\n")


def checkpoint(folder):
    """All tensors of a folder, shards joined, exactly as stored."""
    tensors = {}
    for file in sorted(Path(folder).glob("model*.safetensors")):
        tensors.update(load_file(file))
    return tensors


def dense_weights(folder):
    """Tensors of a folder as float32, quantized Linears decoded; and the names of the latter."""
    import quantized_bases

    if quantized_bases.is_ours(folder):
        return quantized_bases.dense_weights(folder)
    stored = checkpoint(folder)
    decoded = decode.all_linears(stored)
    dense = {k: v.float() for k, v in stored.items() if not decode.belongs_to(k, decoded)}
    dense.update({f"{m}.weight": torch.from_numpy(w) for m, w in decoded.items()})
    return dense, decoded


def dense_model(folder):
    """A plain float32 LlamaForCausalLM with the weights of a folder, quantized or not, or of a GGUF file."""
    folder = Path(folder)
    if folder.suffix == ".gguf":
        import gguf_bases

        return gguf_bases.dense_model(folder)
    config = AutoConfig.from_pretrained(folder)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.float32
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config).float().eval()
    weights, _ = dense_weights(folder)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    assert missing == (["lm_head.weight"] if config.tie_word_embeddings else []), missing
    model.tie_weights()
    model.name_or_path = folder.name
    return model
