"""Writes Tests/Fixtures/adapters: folders saved by PEFT, filled with random, clearly visible weights."""

import json
import os
import re
import shutil
import sys

import common
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

QKV = ["q_proj", "k_proj", "v_proj"]
ALL = [*QKV, "o_proj", "gate_proj", "up_proj", "down_proj"]
FINLORA = dict(r=8, lora_alpha=16, target_modules=QKV, use_dora=True)
SMALL = dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], use_dora=True)
DORA = dict(r=4, lora_alpha=8, use_dora=True)
LORA = dict(r=4, lora_alpha=8)

# name -> (base, LoraConfig). The order of rank_pattern and alpha_pattern is the order in the file.
CONFIGS = {
    "dora-qkv": ("gqa-f32", FINLORA),
    "dora-qv": ("gqa-f32", SMALL),
    "dora-rslora": ("gqa-f32", dict(FINLORA, r=6, lora_alpha=9, use_rslora=True)),
    "lora-plain": ("gqa-f32", dict(FINLORA, use_dora=False)),
    "lora-rslora": ("gqa-f32", dict(FINLORA, use_dora=False, use_rslora=True)),
    "dora-all-linear": ("gqa-f32", dict(DORA, target_modules="all-linear")),
    "dora-regex": ("gqa-f32", dict(
        DORA, target_modules=r".*\.(?:0\.self_attn\.[qv]|1\.mlp\.(up|down))_proj")),
    "dora-exclude": ("gqa-f32", dict(
        DORA, target_modules=ALL, exclude_modules=["layers.0.mlp.down_proj", "k_proj"])),
    "dora-exclude-regex": ("gqa-f32", dict(DORA, target_modules=ALL, exclude_modules=r".*\.1\..*|.*mlp.*")),
    "dora-patterns": ("gqa-f32", dict(
        DORA, target_modules=ALL,
        rank_pattern={  # sorted by key, v_proj and layer 1's q_proj would come out otherwise
            r"v_proj|down_proj": 3, "self_attn.v_proj": 2, "layers.1.self_attn.q_proj": 7,
            "^model.layers.1.self_attn.q_proj": 5, "^layers.0.self_attn.q_proj": 9, "attn.k_proj": 9,
            "model.layers.*.up_proj": 6,
        },
        alpha_pattern={  # sorted by key, q_proj and layer 1's down_proj would
            "q_proj": 20, r"layers.[01].self_attn.[qk]_proj": 3, "down_proj": 12.5,
            "^model.layers.1.mlp.*": 5, "model.layers.0.mlp.up_proj": 1, "proj": 40,
        })),
    "dora-layers": ("bf16", dict(DORA, target_modules=QKV, layers_to_transform=[0, 2])),
    "dora-layers-one": ("bf16", dict(DORA, target_modules=ALL, layers_to_transform=1)),
    "dora-layers-pattern": ("sharded", dict(
        DORA, target_modules=QKV, layers_to_transform=[1], layers_pattern="layers")),
    "dora-save-head": ("gqa-f32", dict(SMALL, modules_to_save=["lm_head"])),
    "dora-save-embed": ("gqa-f32", dict(SMALL, modules_to_save=["embed_tokens"])),
    "dora-save-norm": ("gqa-f32", dict(SMALL, modules_to_save=["norm"])),
    "dora-save-input-norm": ("gqa-f32", dict(SMALL, modules_to_save=["input_layernorm"])),
    "dora-save-embed-tied": ("tied-f32", dict(SMALL, modules_to_save=["embed_tokens"])),
    "dora-save-both-tied": ("tied-f32", dict(SMALL, modules_to_save=["embed_tokens", "lm_head"])),
    "dora-save-ensure-tied": ("tied-f32", dict(
        SMALL, modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "lora-bias-only": ("biases", dict(LORA, target_modules=["q_proj", "down_proj"], bias="lora_only")),
    "lora-bias-all": ("biases", dict(LORA, target_modules=["q_proj", "down_proj"], bias="all")),
    "dora-bias-only": ("biases", dict(DORA, target_modules=["q_proj", "up_proj"], bias="lora_only")),
    "dora-bias-all": ("biases", dict(DORA, target_modules=["q_proj", "up_proj"], bias="all")),
    "lora-bias-b": ("gqa-f32", dict(LORA, target_modules=["q_proj", "v_proj", "down_proj"], lora_bias=True)),
    "lora-bias-b-biases": ("biases", dict(LORA, target_modules=["v_proj", "o_proj"], lora_bias=True)),
    "dora-embed": ("gqa-f32", dict(DORA, target_modules=["embed_tokens", "q_proj"])),
    "dora-head": ("gqa-f32", dict(DORA, target_modules=["lm_head", "q_proj"])),
    "dora-embed-head": ("gqa-f32", dict(DORA, target_modules=["embed_tokens", "lm_head"])),
    "dora-embed-tied": ("tied-f32", dict(DORA, target_modules=["embed_tokens"])),
    "dora-head-tied": ("tied-f32", dict(DORA, target_modules=["lm_head"])),
    "dora-embed-head-tied": ("tied-f32", dict(DORA, target_modules=["embed_tokens", "lm_head", "v_proj"])),
    "dora-embed-ensure-tied": ("tied-f32", dict(
        DORA, target_modules=["embed_tokens"], ensure_weight_tying=True)),
    "lora-embed": ("gqa-f32", dict(LORA, target_modules=["embed_tokens", "v_proj"])),
    "lora-embed-tied": ("tied-f32", dict(LORA, target_modules=["embed_tokens"])),
    "dora-tokens": ("gqa-f32", dict(SMALL, trainable_token_indices=[3, 17, 5, 100, 127])),
    "dora-tokens-dict": ("gqa-f32", dict(SMALL, trainable_token_indices={"embed_tokens": [40, 4, 110]})),
    "dora-tokens-tied": ("tied-f32", dict(SMALL, trainable_token_indices=[8, 90, 30, 31])),
    "dora-rank-1": ("f16", dict(DORA, r=1, lora_alpha=2, target_modules=ALL)),
    "dora-rank-37": ("gqa-f32", dict(DORA, r=37, lora_alpha=11.5, target_modules=["k_proj"])),
    "dora-axolotl": ("int8", dict(FINLORA)),
    "dora-tied-qkv": ("tied-f32", FINLORA),
    "dora-saved-bf16": ("gqa-f32", FINLORA),
    "dora-saved-f16": ("gqa-f32", FINLORA),
}
# FinLoRA's shape, trained (so to speak) on each of these.
for _base in ("llama3-rope", "linear-rope", "biases", "head-dim", "head-dim-8", "bf16", "f16", "sharded",
              "old-config", "int8", "nf4", "nf4-double", "fp4", "nf4-ragged"):
    CONFIGS[f"dora-qkv-{_base}"] = (_base, FINLORA)
for _base in ("head-dim", "nf4", "nf4-ragged"):
    CONFIGS[f"dora-all-{_base}"] = (_base, dict(DORA, r=3, target_modules=ALL))
for _base in ("int8-biases", "fp4-double", "nf4-storage-bf16", "nf4-storage-f32", "nf4-double-ragged", "nf4-tied"):
    CONFIGS[f"dora-qv-{_base}"] = (_base, SMALL)
for _base in ("source-f32", "source-f16", "source-bf16", "source-odd"):
    CONFIGS[f"dora-qv-{_base}"] = (f"{_base}-nf4", SMALL)

CONFIGS |= {
    "dora-all-gguf": ("gguf-classic.gguf", dict(DORA, r=3, target_modules=ALL)),
    "dora-head-gguf": ("gguf-k.gguf", dict(DORA, target_modules=["q_proj", "k_proj", "embed_tokens", "lm_head"])),
    "dora-all-q4_k": ("gguf-q4_k.gguf", dict(DORA, r=2, target_modules=ALL)),
    "lora-all-q4_k": ("gguf-q4_k.gguf", dict(LORA, r=2, target_modules=ALL)),
    "dora-all-q8_0": ("gguf-q8_0.gguf", dict(DORA, r=3, target_modules=ALL)),
    "lora-all-q8_0": ("gguf-q8_0.gguf", dict(LORA, r=3, target_modules=ALL)),
    "dora-qkv-gguf": ("gguf-split-00001-of-00003.gguf", FINLORA),
}

# For every base of quantized_bases.py.
QUANTIZED = {
    "dora-quantized": ("gptq-4", dict(DORA, target_modules=["q_proj", "v_proj", "down_proj"])),
    "lora-quantized": ("gptq-4", dict(LORA, target_modules=["k_proj", "o_proj", "gate_proj"])),
}
CONFIGS |= QUANTIZED

# Trained after `resize_token_embeddings` to so many rows: added tokens, or unused rows cut off. The bases have 128.
RESIZED = {
    "dora-resized-save": 131, "dora-resized-save-tied": 131, "dora-resized-factors": 133,
    "dora-resized-factors-tied": 133, "dora-resized-plain-tied": 130, "dora-resized-tokens-tied": 131,
    "dora-resized-tokens-saved": 131,
    "dora-shrunk-save": 100,
}
_BOTH = dict(SMALL, modules_to_save=["embed_tokens", "lm_head"])
_FACTORS = dict(DORA, target_modules=["embed_tokens", "lm_head", "q_proj"])
CONFIGS |= {
    "dora-resized-save": ("gqa-f32", _BOTH),
    "dora-resized-save-tied": ("tied-f32", _BOTH),
    "dora-resized-factors": ("gqa-f32", _FACTORS),
    "dora-resized-factors-tied": ("tied-f32", _FACTORS),
    "dora-resized-plain-tied": ("tied-f32", SMALL),
    "dora-resized-tokens-tied": ("tied-f32", dict(SMALL, trainable_token_indices=[5, 128, 129, 130])),
    "dora-resized-tokens-saved": ("gqa-f32", dict(SMALL, trainable_token_indices=[5, 128, 129, 130])),
    "dora-shrunk-save": ("gqa-f32", _BOTH),
}
# Whether PEFT saves the embedding and the head along; it cannot tell by itself without the hub.
SAVES_EMBEDDINGS = {"dora-resized-factors", "dora-resized-factors-tied", "dora-resized-plain-tied",
                    "dora-resized-tokens-saved"}

EDITED = {"dora-axolotl": {"fan_in_fan_out": None}}  # as axolotl writes it
SAVED_AS = {"dora-saved-bf16": torch.bfloat16, "dora-saved-f16": torch.float16}


def reorder(path, options):
    """PEFT saves dictionaries sorted and sets in any order; we want our order and a stable one."""
    config = json.loads(path.read_text())
    for key, value in config.items():
        if key in ("rank_pattern", "alpha_pattern"):
            config[key] = options.get(key, value)
        elif isinstance(value, list) and key in ("target_modules", "exclude_modules"):
            config[key] = sorted(value)
    config.update(EDITED.get(path.parent.name, {}))
    common.write_json(path, config, indent=2)


def randomize(model, name):
    """Both factors non-zero, `s·BA` about 0.4 of V's spread, magnitudes scaled by up to 1.5, some < 0."""
    named = {id(p): key for key, p in model.named_parameters()}
    done = set()

    def fill(parameter, values):
        parameter.copy_(torch.as_tensor(values).to(parameter))
        done.add(id(parameter))

    def normal(parameter, std):
        return common.rng("adapter", name, named[id(parameter)]).normal(0, std, tuple(parameter.shape))

    def weight(part):
        return getattr(part["default"], "weight", part["default"]) if "default" in part else None

    for layer in model.modules():
        if not isinstance(layer, LoraLayer) or "default" not in layer.scaling:
            continue
        a = weight(layer.lora_A) if len(layer.lora_A) else weight(layer.lora_embedding_A)
        b = weight(layer.lora_B) if len(layer.lora_B) else weight(layer.lora_embedding_B)
        spread = layer.get_base_layer().weight.std().item()
        fill(a, normal(a, 0.1))
        fill(b, normal(b, 0.4 * spread / (0.1 * layer.scaling["default"] * layer.r["default"] ** 0.5)))
        if len(layer.lora_B) and layer.lora_B["default"].bias is not None:
            fill(layer.lora_B["default"].bias, normal(layer.lora_B["default"].bias, 0.3))
        if (m := weight(layer.lora_magnitude_vector)) is not None:
            random = common.rng("magnitude", name, named[id(m)])
            sign = torch.from_numpy((random.random(m.shape) > 0.08) * 2.0 - 1)
            fill(m, m * torch.from_numpy(random.uniform(0.6, 1.5, m.shape)) * sign)
    for key, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in done:  # saved modules, biases, token rows
            spread = parameter.std().item()
            fill(parameter, parameter + torch.from_numpy(normal(parameter, max(0.5 * spread, 0.1))))


def resized(model, name):
    """With as many rows as the adapter was trained on; new ones are random, as an adapter must bring its own."""
    if name in RESIZED:
        torch.manual_seed(len(name))
        model.resize_token_embeddings(RESIZED[name], mean_resizing=False)
    return model


def write(name, base, options):
    folder = common.ADAPTERS / name
    shutil.rmtree(folder, ignore_errors=True)
    os.chdir(common.BASES)  # so that base_model_name_or_path is a plain name that PEFT can open
    with torch.enable_grad():  # PEFT reads requires_grad
        config = LoraConfig(task_type="CAUSAL_LM", **options)
        dense = resized(common.dense_model(common.BASES / base), name)
        model = get_peft_model(dense, config)
    randomize(model, name)
    model.save_pretrained(folder, save_embedding_layers=name in SAVES_EMBEDDINGS)
    (folder / "README.md").unlink()
    reorder(folder / "adapter_config.json", options)
    if dtype := SAVED_AS.get(name):
        file = folder / "adapter_model.safetensors"
        save_file({k: v.to(dtype) for k, v in load_file(file).items()}, file, metadata={"format": "pt"})


def main(wanted):
    for name, (base, options) in CONFIGS.items():
        if not wanted or re.search(wanted, name):
            write(name, base, options)
    print(f"  {len(CONFIGS)} adapters")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
