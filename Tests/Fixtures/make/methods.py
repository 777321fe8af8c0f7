"""Writes Tests/Fixtures/adapters: the other PEFT methods that merge exactly, and DoRA as its paper's authors save it."""

import json
import os
import re
import shutil
import sys

import adapters
import common
import torch
from peft import IA3Config, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, VeraConfig, get_peft_model
from safetensors.torch import load_file, save_file

ALL = adapters.ALL
OFT = dict(target_modules=["q_proj", "v_proj", "o_proj", "down_proj"])

# name -> (base, configuration, its options)
METHODS = {
    "ia3-default": ("gqa-f32", IA3Config, dict(
        target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])),
    "ia3-biases": ("biases", IA3Config, dict(target_modules=ALL, feedforward_modules=["o_proj", "down_proj"])),
    "ia3-regex": ("gqa-f32", IA3Config, dict(
        target_modules=r".*\.(q|o|up|down)_proj", feedforward_modules=r".*\.1\.mlp\..*", modules_to_save=["norm"])),
    "ia3-int8": ("int8", IA3Config, dict(
        target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])),
    "ia3-nf4": ("nf4", IA3Config, dict(
        target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])),
    "loha-all": ("gqa-f32", LoHaConfig, dict(r=4, alpha=8, target_modules=ALL, rank_pattern={"v_proj": 3})),
    "loha-int8": ("int8", LoHaConfig, dict(r=2, alpha=3, target_modules=["q_proj", "v_proj"])),
    "lokr-whole": ("gqa-f32", LoKrConfig, dict(r=8, alpha=4, target_modules=ALL)),
    "lokr-right": ("gqa-f32", LoKrConfig, dict(
        r=2, alpha=8, decompose_factor=4, target_modules=ALL, alpha_pattern={"up_proj": 5})),
    "lokr-both": ("head-dim", LoKrConfig, dict(
        r=1, alpha=2, decompose_both=True, target_modules=["q_proj", "k_proj", "down_proj"])),
    "vera-all": ("gqa-f32", VeraConfig, dict(r=8, target_modules=ALL)),
    "vera-nf4": ("nf4", VeraConfig, dict(r=6, target_modules=["q_proj", "v_proj"])),
    "oft-blocks": ("gqa-f32", OFTConfig, dict(oft_block_size=16, **OFT)),
    "oft-adjusted": ("gqa-f32", OFTConfig, dict(oft_block_size=24, num_cayley_neumann_terms=3, **OFT)),
    "oft-exact": ("gqa-f32", OFTConfig, dict(
        r=4, oft_block_size=0, use_cayley_neumann=False, target_modules=ALL)),
    "oft-shared": ("biases", OFTConfig, dict(oft_block_size=8, block_share=True, target_modules=ALL)),
    "oft-coft": ("gqa-f32", OFTConfig, dict(oft_block_size=8, coft=True, eps=1.5, **OFT)),
    "oft-int8": ("int8", OFTConfig, dict(oft_block_size=8, **OFT)),
    "oft-nf4": ("nf4", OFTConfig, dict(oft_block_size=16, **OFT)),
}

# The paper's layout -> a PEFT adapter of the same function, whose k_proj has magnitudes alone.
PAPER = "paper-dora"
PAPER_SOURCE = "paper-dora-in-peft"
LAST = {"IA3": "ia3_l", "LOHA": "hada_w2_b", "LOKR": "lokr_w1", "VERA": "vera_lambda_b", "OFT": "oft_R"}


def randomize(model, name, kind):
    """Changes of about 0.4 of V's spread; rotations by a few tenths; factors around 1."""
    std = {"IA3": 0.4, "OFT": 0.15}.get(kind, 0.5)
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            noise = torch.from_numpy(common.rng("method", name, key).normal(0, std, tuple(parameter.shape)))
            parameter.copy_((noise + (1 if kind == "IA3" or "saved" in key else 0)).to(parameter))
    for layer in model.modules():
        if kind not in ("IA3", "OFT") and hasattr(layer, "get_delta_weight") and hasattr(layer, "base_layer"):
            spread, delta = layer.base_layer.weight.std(), layer.get_delta_weight("default").std()
            for key, parameter in layer.named_parameters():
                if re.search(LAST[kind] + r"(_a)?\.default", key):
                    parameter.mul_(0.4 * spread / delta)


def finish(folder):
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    for key in ("target_modules", "feedforward_modules"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    common.write_json(path, config, indent=2)


def write(name, base, kind, options):
    folder = common.ADAPTERS / name
    shutil.rmtree(folder, ignore_errors=True)
    os.chdir(common.BASES)
    with torch.enable_grad():
        config = kind(task_type="CAUSAL_LM", **options)
        model = get_peft_model(common.dense_model(common.BASES / base), config).eval()
    randomize(model, name, config.peft_type.value)
    model.save_pretrained(folder)
    finish(folder)


def write_paper():
    """NVlabs/DoRA, peft/src/peft/tuners/dora.py: its names, and its configuration as its to_dict writes it."""
    source, folder = common.ADAPTERS / PAPER_SOURCE, common.ADAPTERS / PAPER
    for path in (source, folder):
        shutil.rmtree(path, ignore_errors=True)
    os.chdir(common.BASES)
    with torch.enable_grad():
        config = LoraConfig(
            task_type="CAUSAL_LM", r=4, lora_alpha=8, use_dora=True, target_modules=["q_proj", "v_proj", "k_proj"])
        model = get_peft_model(common.dense_model(common.BASES / "gqa-f32"), config)
    adapters.randomize(model, PAPER)
    for key, parameter in model.named_parameters():
        if "k_proj.lora_B" in key:
            parameter.zero_()
    model.save_pretrained(source)
    finish(source)
    folder.mkdir()
    tensors = {}
    for key, value in load_file(source / "adapter_model.safetensors").items():
        if key.endswith("lora_magnitude_vector"):
            key, value = key.replace("lora_magnitude_vector", "weight_m_wdecomp.weight"), value[:, None]
        elif "k_proj" in key:
            continue
        tensors[key] = value.contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    # "attn.q_proj" ends the name without a dot before it.
    common.write_json(folder / "adapter_config.json", {
        "Wdecompose_target_modules": ["k_proj"], "base_model_name_or_path": "gqa-f32", "bias": "none",
        "dora_simple": True, "enable_lora": None, "fan_in_fan_out": False, "inference_mode": True, "lora_alpha": 8,
        "lora_dropout": 0.05, "merge_weights": False, "modules_to_save": None, "peft_type": "DORA", "r": 4,
        "target_modules": ["attn.q_proj", "v_proj"], "task_type": "CAUSAL_LM"}, indent=2)


def main(wanted):
    for name, (base, kind, options) in METHODS.items():
        if not wanted or re.search(wanted, name):
            write(name, base, kind, options)
    if not wanted or re.search(wanted, PAPER):
        write_paper()
    print(f"  {len(METHODS) + 2} adapters")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
