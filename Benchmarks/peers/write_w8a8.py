#!/usr/bin/env python3
"""Writes a model of random_model.py (int8) as compressed-tensors has it, for vLLM: the very same codes and scales.

    python3 write_w8a8.py MODEL w8a8 OUT

A scale per row of the weights, one per token for the activations, found as they come. Embedding and head become BF16,
which is what vLLM computes in; it has no 8-bit head.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

INTEGERS = dict(num_bits=8, type="int", symmetric=True)
QUANTIZATION = dict(
    quant_method="compressed-tensors", format="int-quantized", quantization_status="compressed", ignore=["lm_head"],
    config_groups=dict(group_0=dict(targets=["Linear"], weights=dict(INTEGERS, strategy="channel", dynamic=False),
                                    input_activations=dict(INTEGERS, strategy="token", dynamic=True))))


def main():
    if len(sys.argv) != 4 or sys.argv[2] != "w8a8":
        sys.exit(__doc__)
    folder, out = Path(sys.argv[1]), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config.update(dtype="bfloat16", quantization_config=QUANTIZATION)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {}
    with safe_open(folder / "model.safetensors", "pt") as file:
        for name in file.keys():
            tensor = file.get_tensor(name)
            if name.endswith(".SCB"):
                tensors[name.removesuffix("SCB") + "weight_scale"] = tensor[:, None] / 127
            else:
                tensors[name] = tensor if tensor.dtype == torch.int8 else tensor.to(torch.bfloat16)
    save_file(tensors, out / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main()
