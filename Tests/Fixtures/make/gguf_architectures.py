"""Writes Tests/Fixtures/gguf/architectures.json: what llama.cpp's converter makes of a tiny model of each architecture.

    LLAMA_CPP=/path/to/llama.cpp python Tests/Fixtures/make/gguf_architectures.py

Needs torch, transformers and llama.cpp's source (as in the source archive of llama-cpp-python), whose `conversion` does the
work. A model's metadata and the names and shapes of its tensors go into the file, and what transformers saved: names, shapes
and configuration.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import common
import torch
import transformers

LLAMA_CPP = Path(os.environ["LLAMA_CPP"])
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]

import conversion
import gguf

SHAPE = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=24,
    vocab_size=128, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False,
)
PLAIN = {key: value for key, value in SHAPE.items() if key != "head_dim"}
LLAMA3 = dict(rope_type="llama3", rope_theta=5e5, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=8192)
YARN = dict(rope_type="yarn", rope_theta=1e6, factor=4.0, original_max_position_embeddings=64)
LONGROPE = dict(
    rope_type="longrope", rope_theta=1e4, short_factor=[1.0 + i / 8 for i in range(8)],
    long_factor=[2.0 + i for i in range(8)], original_max_position_embeddings=64)

# name -> (class in transformers, configuration)
MODELS = {
    "llama": ("Llama", SHAPE),
    "llama-tied-biases": ("Llama", dict(PLAIN, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)),
    "llama-3": ("Llama", dict(SHAPE, rope_parameters=LLAMA3)),
    "llama-linear": ("Llama", dict(SHAPE, rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=4.0))),
    "mistral": ("Mistral", dict(SHAPE, sliding_window=None)),
    "granite": ("Granite", dict(
        PLAIN, attention_multiplier=0.125, embedding_multiplier=12.0, residual_multiplier=0.5, logits_scaling=8.0)),
    "smollm3": ("SmolLM3", dict(PLAIN, pad_token_id=0)),
    "qwen2": ("Qwen2", dict(PLAIN)),
    "qwen2-yarn": ("Qwen2", dict(PLAIN, rope_parameters=YARN)),
    "qwen3": ("Qwen3", SHAPE),
    "gemma": ("Gemma", dict(SHAPE, tie_word_embeddings=True)),
    "gemma2": ("Gemma2", dict(SHAPE, tie_word_embeddings=True, sliding_window=32, query_pre_attn_scalar=24)),
    "gemma3": ("Gemma3", dict(SHAPE, tie_word_embeddings=True, sliding_window=32, query_pre_attn_scalar=24)),
    "phi3": ("Phi3", dict(PLAIN, pad_token_id=0, rope_parameters=LONGROPE, original_max_position_embeddings=64)),
    "olmo2": ("Olmo2", dict(PLAIN)),
    "glm4": ("Glm4", dict(SHAPE, pad_token_id=0)),
    "glm4-unbiased": ("Glm4", dict(SHAPE, pad_token_id=0, attention_bias=False)),
    "command-r": ("Cohere", dict(PLAIN, tie_word_embeddings=True, model_max_length=256, pad_token_id=0)),
    "cohere2": ("Cohere2", dict(PLAIN, tie_word_embeddings=True, sliding_window=32, rotary_pct=1.0, pad_token_id=0)),
    "exaone4": ("Exaone4", dict(PLAIN, pad_token_id=0)),
    "exaone4-full": ("Exaone4", dict(
        PLAIN, pad_token_id=0, sliding_window=None, layer_types=["full_attention"] * 2)),
    "seed_oss": ("SeedOss", SHAPE),
    "seed_oss-unbiased": ("SeedOss", dict(SHAPE, attention_bias=False)),
}


def convert(folder, out):
    hparams = conversion.ModelBase.load_hparams(folder, False)
    kind = conversion.get_model_class(hparams["architectures"][0])
    kind.set_vocab = lambda self: None
    kind(folder, gguf.LlamaFileType.ALL_F32, out).write()


def value(field):
    contents = field.contents()
    return {"type": [t.name for t in field.types], "value": contents}


def changes(tensors, saved):
    """Whether rows of queries are in another order, and what was added to norms."""
    query, norm = (saved.get(key) for key in ("model.layers.0.self_attn.q_proj.weight", "model.norm.weight"))
    rows = None if query is None else torch.from_numpy(tensors["blk.0.attn_q.weight"].data.copy())
    added = torch.from_numpy(tensors["output_norm.weight"].data.copy()) - norm
    assert added.std() < 1e-6
    return {"interleaved": rows is not None and not torch.equal(rows, query), "shift": round(float(added.mean()), 6)}


def describe(name):
    class_name, options = MODELS[name]
    suffix = "TextConfig" if class_name == "Gemma3" else "Config"
    config = getattr(transformers, class_name + suffix)(**options)
    torch.manual_seed(0)
    model = getattr(transformers, class_name + "ForCausalLM")(config).float()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model.save_pretrained(folder)
        if class_name == "Gemma3":  # whose converter counts the tokens
            vocabulary = {str(i): i for i in range(config.vocab_size)}
            common.write_json(folder / "tokenizer.json", {"model": {"vocab": vocabulary}, "added_tokens": []})
        convert(folder, folder / "model.gguf")
        reader = gguf.GGUFReader(folder / "model.gguf")
        saved = common.checkpoint(folder)
        skipped = ("GGUF.", "general.")
        return {
            "metadata": {
                key: value(field) for key, field in reader.fields.items()
                if not key.startswith(skipped) or key == "general.architecture"},
            "tensors": {t.name: [int(n) for n in reversed(t.shape)] for t in reader.tensors},
            "divisors": {
                t.name: [float(v) for v in t.data] for t in reader.tensors if t.name.startswith("rope_")},
            **changes({t.name: t for t in reader.tensors}, saved),
            "config": json.loads((folder / "config.json").read_text()),
            "saved": {key: list(t.shape) for key, t in sorted(saved.items())},
        }


def main():
    models = {}
    for name in MODELS:
        try:
            models[name] = describe(name)
        except Exception as error:
            if "-v" in sys.argv:
                raise
            print(f"  {name}: {type(error).__name__}: {error}"[:300])
            continue
        print(" ", name, models[name]["metadata"]["general.architecture"]["value"])
    (common.FIXTURES / "gguf" / "architectures.json").write_text(json.dumps(models, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
