#!/usr/bin/env python3
"""Writes a model of random_model.py (int8) for OpenVINO, its weights compressed as optimum-intel does it.

    python3 write_openvino.py MODEL ov-int8|ov-int4 OUT

int8: symmetric, a scale per row, so the codes are the model's own but for rounding. int4: symmetric, groups of 128.
The embedding and the head are int8 in both.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import torch
from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
from safetensors.torch import save_file

from decoded import decoded

COMPRESSIONS = {"ov-int8": dict(bits=8, sym=True), "ov-int4": dict(bits=4, sym=True, group_size=128, ratio=1.0)}


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in COMPRESSIONS:
        sys.exit(__doc__)
    folder, out = Path(sys.argv[1]), Path(sys.argv[3])
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        shutil.copy(folder / "config.json", temporary)
        save_file(dict(decoded(folder, torch.float16)), Path(temporary) / "model.safetensors", {"format": "pt"})
        OVModelForCausalLM.from_pretrained(
            temporary, export=True, compile=False,
            quantization_config=OVWeightQuantizationConfig(**COMPRESSIONS[sys.argv[2]])).save_pretrained(out)


if __name__ == "__main__":
    main()
