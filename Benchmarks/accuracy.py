#!/usr/bin/env python3
"""Measures what storing the bundled model costs in accuracy, and prints the tables of docs/ACCURACY.md.

    swift build -c release && python3 Benchmarks/accuracy.py     # half a minute; needs numpy

4-bit and 16-bit formats are made, in a temporary folder, from the base's decoded weights.
"""

import json
import os
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from random_model import Writer

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"
BUILD = Path(os.environ.get("DORA_BUILD", ROOT / ".build/release"))
ADAPTERS = (None, "sentiment", "topic")
EXACT = dict(weights="f32", merged="f32", head="native", kv="f32")
FROM_EXACT = [
    ("nothing", {}), ("linear layers int8 (native)", dict(weights="native")),
    ("linear layers Q8", dict(weights="q8")), ("head Q8", dict(head="q8")), ("head Q4", dict(head="q4")),
    ("merged Q8", dict(merged="q8")), ("merged Q4", dict(merged="q4")), ("cache F16", dict(kv="f16")),
    ("cache Q8", dict(kv="q8")),
]
FROM_DEFAULT = [
    ("nothing", {}), ("`--weights q8`", dict(weights="q8")),
    ("`--weights f32 --head q8 --kv f16`", dict(weights="f32", head="q8", kv="f16")),
    ("`--head native`", dict(head="native")), ("`--head q4`", dict(head="q4")),
    ("`--merged f32`", dict(merged="f32")), ("`--merged q4`", dict(merged="q4")), ("`--kv f32`", dict(kv="f32")),
    ("`--kv q8`", dict(kv="q8")),
]
MADE = [("NF4", "F32", dict(quantize="nf4")), ("NF4, double quantization", "F32", dict(quantize="nf4-double")),
        ("FP4", "F32", dict(quantize="fp4")), ("BF16", "BF16", {}), ("F16", "F16", {})]


def decoded(path):
    """The tensors of a checkpoint in F32; bitsandbytes' int8 as it decodes them itself."""
    data = path.read_bytes()
    start = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:start])
    types = {"F32": np.float32, "BF16": np.uint16, "I8": np.int8, "U8": np.uint8}

    def tensor(name):
        entry = header[name]
        first, last = entry["data_offsets"]
        return np.frombuffer(data[start + first:start + last], types[entry["dtype"]]).reshape(entry["shape"])

    for name, entry in header.items():
        if name.endswith(".weight"):
            values = tensor(name)
            if entry["dtype"] == "BF16":
                values = (values.astype(np.uint32) << 16).view(np.float32)
            elif entry["dtype"] == "I8":
                maxima = tensor(name.removesuffix("weight") + "SCB").reshape(-1, 1)
                values = values.astype(np.float32) * maxima * np.float32(7.874015718698502e-3)
            yield name, values


def cast(values, dtype):
    if dtype == "BF16":
        bits = values.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return values.astype(np.float16 if dtype == "F16" else np.float32)


def write(folder, dtype):
    folder.mkdir()
    config = json.loads((MODELS / "base/config.json").read_text())
    del config["quantization_config"]
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((MODELS / "base" / name).read_bytes())
    file = Writer()
    for name, values in decoded(MODELS / "base/model.safetensors"):
        file.add(name, dtype, values.shape, lambda v=values: cast(v, dtype))
    file.write(folder / "model.safetensors")


def measure(model, adapter=None, **options):
    if adapter:
        options["adapter"] = MODELS / "adapters" / adapter
    command = [BUILD / "dora-accuracy", "--model", model, "--text", MODELS / "evaluation/general.txt"]
    for name, value in options.items():
        command += [f"--{name}", value]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def row(*cells):
    print("|", " | ".join(cells), "|")


def kl(figures):
    return f"{figures['divergence']:.1e}" if figures["divergence"] > 1e-12 else "0"


def ppl(figures):
    return f"{figures['storedPerplexity']:.3f}"


def settings(title, rows, base):
    row(title, *(f"{cell}: {name or 'base'}" for name in ADAPTERS for cell in ("KL", "perplexity")))
    row("---", *["---:"] * 6)
    for name, change in rows:
        cells = []
        for adapter in ADAPTERS:
            # Without an adapter nothing is merged.
            figures = measure(MODELS / "base", adapter, **base | change) if adapter or "merged" not in change else None
            cells += [kl(figures), ppl(figures)] if figures else ["", ""]
        row(name, *cells)
    print()


def formats(folder):
    row("format", "V: KL from unquantized", "V: perplexity", "codes alone: KL", "default: KL, base", "sentiment",
        "topic", "default: perplexity, base")
    row("---", *["---:"] * 7)
    for name, dtype, options in MADE:
        model = folder / dtype
        quantized = measure(model, reference=folder / "F32", **EXACT | options)
        alone = measure(model, **EXACT | dict(weights="native") | options)
        default = [measure(model, adapter, **options) for adapter in ADAPTERS]
        row(name, kl(quantized), ppl(quantized), kl(alone), *map(kl, default), ppl(default[0]))


def forms(folder):
    """Merged into Q8 beside factored, with the default's activations and with 16 bits."""
    cells = [(adapter, activations, form) for adapter in ADAPTERS if adapter for activations in ("auto", "16")
             for form in ("merged", "factored")]
    row("base", *(f"{adapter}, `{activations}`: {form}" for adapter, activations, form in cells))
    row("---", *["---:"] * len(cells))
    bases = [("LLM.int8", MODELS / "base", {}), *((name, folder / dtype, options) for name, dtype, options in MADE)]
    for name, model, options in bases:
        found = [measure(model, adapter, activations=activations, **{"adapter-form": form}, **options)
                 for adapter, activations, form in cells]
        row(name, *map(kl, found))
    print()


def main():
    settings("changed from the F32 path", FROM_EXACT, EXACT)
    settings("changed from the default", FROM_DEFAULT, {})
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for dtype in ("F32", "BF16", "F16"):
            write(folder / dtype, dtype)
        exact = measure(folder / "F32", reference=MODELS / "base", **EXACT)
        assert exact["divergence"] == 0, "the F32 checkpoint is not what the base decodes to"
        formats(folder)
        print()
        forms(folder)
    print(f"\n{exact['tokens']} tokens; entropy of the base's F32 path {exact['entropy']:.2f} nats")


if __name__ == "__main__":
    main()
