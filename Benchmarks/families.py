#!/usr/bin/env python3
"""Every dense family's decoding beside a Llama's: how much of the memory bandwidth each gets.

    python3 Benchmarks/families.py [--families REGEX] [--rounds 3] [--threads N] [--bin .build/release]

Writes a random model of one shape for each family (about 140 MB of int8 linear layers), and measures it and the Llama in
turn. The ratio is of bytes a second, so that families with more matrices a layer, or fewer, compare. Needs the packages
of Tests/Fixtures/make/requirements.txt.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Tests/Families"))

import torch

import models
from families import FAMILIES

SHAPE = dict(vocab_size=32000, hidden_size=1024, intermediate_size=2816, num_hidden_layers=12, num_attention_heads=16,
             num_key_value_heads=4, max_position_embeddings=4096, tie_word_embeddings=False)
# Without a way to choose them, windows and ropes are those of a draw; sizes that must fit the shape are given here.
FITTING = dict(head_dim=64, sliding_window=512, query_pre_attn_scalar=64, max_window_layers=6)


def configuration(name, family):
    """A draw of the family in the shape above; of the plain rope, whose tables need no length."""
    for seed in range(100):
        config = family.draw(random.Random(f"{name}/{seed}"))
        rope = config.get("rope_parameters") or {}
        nested = [value for value in rope.values() if isinstance(value, dict)] or [rope]
        if all(value.get("rope_type", "default") == "default" for value in nested) and not config.get("rope_scaling"):
            break
    config.update({key: value for key, value in SHAPE.items()})
    config.update({key: value for key, value in FITTING.items() if config.get(key) is not None})
    for key in ("layer_types", "no_rope_layers"):
        if config.get(key):
            config[key] = (config[key] * SHAPE["num_hidden_layers"])[:SHAPE["num_hidden_layers"]]
    return config


def write(name, family, folder):
    config = configuration(name, family)
    model = models.build(family, config).to(torch.bfloat16)
    for parameter in model.parameters():
        parameter.normal_(0, 0.02)
    model.tie_weights()
    model.save_pretrained(folder)


def measure(binary, folder, threads):
    """Bytes a second of a step with one sequence."""
    # Where the machine was busy while its limits were measured, a step seems to pass them: once more.
    for _ in range(5):
        done = subprocess.run(
            [binary, "--model", folder, "--quantize", "int8", "--rounds", "3", "--steps", "12", "--contexts", "128",
             *threads], capture_output=True, text=True)
        if not done.returncode:
            break
    else:
        raise SystemExit(f"{folder}: {done.stderr}")
    step = json.loads(done.stdout)["decode"][0]
    return step["bytesPerStep"] / step["stepSeconds"]["min"], step["bytesPerStep"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bin", type=Path, default=HERE.parent / ".build/release")
    parser.add_argument("--threads", type=int, help="one alone is disturbed less where others use the machine")
    options = parser.parse_args()
    threads = ["--threads", str(options.threads)] if options.threads else []
    binary = str(options.bin / "dora-bench")
    with tempfile.TemporaryDirectory(prefix="dora-families-") as folder:
        llama = f"{folder}/llama"
        write("llama", FAMILIES["llama"], llama)
        print(f"{'family':20} {'MB a step':>10} {'÷ Llama':>8}   (bytes a second, median of {options.rounds} pairs)")
        for name, family in FAMILIES.items():
            if not re.search(options.families, name) or name == "llama" or family.wraps:
                continue
            path = f"{folder}/{name}"
            write(name, family, path)
            ratios = []
            for _ in range(options.rounds):
                rate, size = measure(binary, path, threads)
                ratios.append(rate / measure(binary, llama, threads)[0])
            print(f"{name:20} {size / 1e6:10.1f} {median(ratios):8.3f}   {min(ratios):.3f}–{max(ratios):.3f}", flush=True)
            subprocess.run(["rm", "-r", path])


if __name__ == "__main__":
    main()
