"""Writes adapters/spelled-*: one adapter in the spellings of other programs. The answers stay the same."""

import json
import re
import shutil

import common
from safetensors.torch import load_file, save_file


def renamed(pattern, replacement):
    return lambda tensors: {re.sub(pattern, replacement, k): v for k, v in tensors.items()}


def wrapped(tensors):
    """torch.compile, DDP and FSDP leave these in keys."""
    def wrap(key):
        return "module._orig_mod." + key.replace(".layers.0.", ".layers.0._fsdp_wrapped_module.")

    return {wrap(k): v for k, v in tensors.items()}


def leftovers(tensors):
    """modules_to_save as a raw state dict has it: the wrapper's segment, and the original beside it."""
    prefix = "base_model.model.lm_head"
    original = common.checkpoint(common.BASES / "gqa-f32")["lm_head.weight"]
    tensors[f"{prefix}.modules_to_save.default.weight"] = tensors.pop(f"{prefix}.weight")
    tensors[f"{prefix}.original_module.weight"] = original
    return tensors


def columns_and_rows(tensors):
    """Magnitudes as [out, 1] for q_proj and [1, out] elsewhere."""
    axis = {k: 1 if "q_proj" in k else 0 for k in tensors if k.endswith("_vector")}
    return {k: v.unsqueeze(axis[k]).contiguous() if k in axis else v for k, v in tensors.items()}


# All that PEFT itself accepts as null.
NULLS = ("task_type", "revision", "inference_mode", "use_rslora", "lora_bias", "init_lora_weights",
         "trainable_token_indices", "layers_to_transform", "peft_version")
# name -> (the adapter it equals, what happens to its tensors, and to its config)
SPELLINGS = {
    "spelled-magnitude-weight": ("dora-qv", renamed(r"_vector$", "_vector.weight"), {}),
    "spelled-magnitude-default": ("dora-qv", renamed(r"_vector$", "_vector.default.weight"), {}),
    "spelled-magnitude-2d": ("dora-qv", columns_and_rows, {}),
    "spelled-default": ("dora-qv", renamed(r"(lora_[AB])\.", r"\1.default."), {}),
    "spelled-no-prefix": ("dora-qv", renamed(r"^base_model\.model\.", ""), {}),
    "spelled-wrapped": ("dora-qv", wrapped, {}),
    "spelled-save-leftovers": ("dora-save-head", leftovers, {}),
    "spelled-null-fields": ("dora-axolotl", None, dict.fromkeys(NULLS)),
}


def respell(name, source, rewrite, config):
    """The same adapter as other programs write it."""
    folder = common.ADAPTERS / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(common.ADAPTERS / source, folder)
    file, path = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    if rewrite:
        save_file(rewrite(load_file(file)), file, metadata={"format": "pt"})
    common.write_json(path, {**json.loads(path.read_text()), **config}, indent=2)


if __name__ == "__main__":
    for name, changes in SPELLINGS.items():
        respell(name, *changes)
    print(f"  {len(SPELLINGS)} spellings")
