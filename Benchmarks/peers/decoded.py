"""A model of random_model.py (int8) as 16-bit tensors, for what reads no codes."""

import torch
from safetensors import safe_open


def decoded(folder, dtype):
    """Names and tensors of the folder."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
        for name in sorted(names):
            if name.endswith(".SCB"):
                continue
            tensor, maxima = file.get_tensor(name), name.removesuffix("weight") + "SCB"
            if maxima in names:
                tensor = tensor.float() * (file.get_tensor(maxima)[:, None] / 127)
            yield name, tensor.to(dtype)
