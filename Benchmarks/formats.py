#!/usr/bin/env python3
"""What running costs in every format of a checkpoint, and prints a table of docs/ACCURACY.md.

    swift build -c release
    python3 Benchmarks/formats.py FOLDER [--formats REGEX] [--text FILE]     # or no folder: the bundled model

FOLDER holds a Llama of one safetensors file in floats (or LLM.int8, as the bundled one) with its tokenizer. Each format is
written into a temporary folder by its own library, with groups of 64, and run on a text: KL is that of the default path from
F32 on the weights that the file decodes to. Rows of widths that 256 does not divide cannot have K blocks: they get what
llama.cpp's quantizer falls back to. With --same-v the checkpoints of libraries get a second row, LLM.int8 quantized from what
they decode to, which tells what a format costs from how easily its V is moved.

Needs what Tests/Fixtures/make/README.md lists: QUANTIZERS names the folder of the libraries.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "Tests/Fixtures/make"), str(ROOT / "Benchmarks/peers")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gguf
import torch
from safetensors.torch import save_file

import accuracy
import gguf_bases
import quantized_bases
from gguf_bases import Type, encode
from quantized_bases import W8, awq, compressed, fbgemm, gptq, grained
from write_gguf import NAMES, NORMS, interleaved

quantized_bases.GROUP = GROUP = 64
LINEAR = re.compile(r".*\.(%s)\.weight$" % "|".join(map(re.escape, NAMES)))

# What llama.cpp puts in place of 256-weight blocks where they do not fit (`llama-quant.cpp`).
INSTEAD = {Type.Q2_K: Type.IQ4_NL, Type.Q3_K: Type.IQ4_NL, Type.IQ4_XS: Type.IQ4_NL, Type.Q4_K: Type.Q5_0,
           Type.Q5_K: Type.Q5_1, Type.Q6_K: Type.Q8_0}
GGUF = [Type.Q8_0, Type.Q6_K, Type.Q5_K, Type.Q5_1, Type.Q5_0, Type.Q4_K, Type.Q4_1, Type.Q4_0, Type.IQ4_NL, Type.IQ4_XS,
        Type.Q3_K, Type.Q2_K]
GROUPS = dict(strategy="group", group_size=GROUP)
QUANTIZED = {
    "GPTQ, 8 bits": gptq(8),
    "GPTQ, 8 bits, zero points": gptq(8, symmetric=False),
    "GPTQ, 4 bits": gptq(4),
    "GPTQ, 4 bits, zero points": gptq(4, symmetric=False),
    "GPTQ, 4 bits, `desc_act`": gptq(4, ordered=True),
    "GPTQ, 8 bits, `desc_act`": gptq(8, ordered=True),
    "AWQ": awq("gemm"),
    "compressed-tensors, 4 bits": compressed("pack-quantized", **GROUPS),
    "compressed-tensors, 4 bits, zero points": compressed("pack-quantized", symmetric=False, **GROUPS),
    "compressed-tensors, 8 bits, rows": compressed("int-quantized", **W8),
    "compressed-tensors, 8 bits, groups": compressed("pack-quantized", num_bits=8, **GROUPS),
    "compressed-tensors, FP8, rows": compressed(
        "float-quantized", num_bits=8, type="float", symmetric=True, strategy="channel"),
    "FP8, blocks of 64": grained((64, 64)),
    "FP8, FBGEMM": fbgemm(),
}


class Model:
    """The weights in F32, the configuration without its quantization, and the folder of the tokenizer."""

    def __init__(self, folder):
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())
        if (self.config.pop("quantization_config", None) or {}).get("load_in_8bit"):
            self.state = {name: torch.from_numpy(values.copy()) for name, values in accuracy.decoded(folder / "model.safetensors")}
        else:
            from safetensors.torch import load_file

            self.state = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}

    def write(self, to, tensors, quantization=None):
        to.mkdir()
        for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(self.folder / name, to)
        config = dict(self.config, **(dict(quantization_config=quantization) if quantization else {}))
        (to / "config.json").write_text(json.dumps(config))
        save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})

    def in_16_bits(self, to):
        self.write(to, {name: value.half() for name, value in self.state.items()})

    def quantized(self, to, pack, quantization):
        tensors = {}
        for name, value in self.state.items():
            module, part = name.rsplit(".", 1)
            parts = pack(self.folder.name, module, value.half()) if LINEAR.match(name) else {part: value.half()}
            tensors.update({f"{module}.{inner}": tensor.detach().clone().contiguous() for inner, tensor in parts.items()})
        self.write(to, tensors, quantization)

    def decoded(self, to, quantized):
        """The same V as a checkpoint that is not quantized."""
        dense, linear = quantized_bases.dense_weights(quantized)
        kept = {name: value if name.removesuffix(".weight") in linear else value.half() for name, value in dense.items()}
        self.write(to, {name: value.contiguous() for name, value in kept.items()})

    def gguf(self, file, kind):
        """Linear layers and the head in one type, the embedding in F16 unless it is the head."""
        config = self.config
        writer = gguf.GGUFWriter(file, "llama")
        writer.add_context_length(config["max_position_embeddings"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(config["num_attention_heads"])
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_rope_dimension_count(config["head_dim"])
        writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_vocab_size(config["vocab_size"])
        writer.add_eos_token_id(config["eos_token_id"])
        heads = {"self_attn.q_proj": config["num_attention_heads"], "self_attn.k_proj": config["num_key_value_heads"]}
        names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
        for name, value in self.state.items():
            module, values = name.rsplit(".", 1)[0], value.numpy()
            if module not in names:
                _, _, layer, inner = module.split(".", 3)
                if inner in heads:
                    values = interleaved(values, heads[inner])
                names[module] = f"blk.{layer}.{(NAMES | NORMS)[inner]}"
            own = Type.F32
            if values.ndim == 2:
                isTable = module == "model.embed_tokens" and "lm_head.weight" in self.state
                own = Type.F16 if isTable else Type.Q8_0 if module in ("model.embed_tokens", "lm_head") else fitting(kind, values)
            writer.add_tensor(f"{names[module]}.weight", encode(values, own), raw_dtype=own)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def fitting(kind, values):
    return INSTEAD.get(kind, kind) if values.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] else kind


def run(options, program, *arguments):
    done = subprocess.run([options.bin / program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def measured(options, name, model, *more):
    """A row: how the linear layers are stored, KL, share of equal first choices."""
    found = json.loads(run(options, "dora-accuracy", "--model", model, "--text", options.text, *more))
    if "--quantize" in more or "--weights" in more:
        stored = more[1]
    else:
        checked = json.loads(run(options, "dora-generate", "--model", model, "--check", "--json"))
        stored = checked["base"]["linear_format"]
    accuracy.row(name, stored, f"{found['divergence']:.2e}", f"{100 * found['equalTokens'] / found['tokens']:.1f} %")
    sys.stdout.flush()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "models/base")
    parser.add_argument("--formats", default=".", help="a regular expression of those to measure")
    parser.add_argument("--same-v", action="store_true", help="also LLM.int8 of each V")
    parser.add_argument("--text", type=Path, default=ROOT / "models/evaluation/general.txt", help="%(default)s")
    parser.add_argument("--bin", type=Path, default=ROOT / ".build" / os.environ.get("CONFIGURATION", "release"))
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    model, wanted = Model(options.folder), re.compile(options.formats)
    accuracy.row("format", "linear layers run as", "KL", "first choice equal")
    accuracy.row("---", "---", "---:", "---:")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        model.in_16_bits(scratch / "16")
        found = measured(options, "16-bit, `--quantize int8`", scratch / "16", "--quantize", "int8")
        measured(options, "16-bit, `--weights q8`", scratch / "16", "--weights", "q8")
        for kind in filter(lambda kind: wanted.search(kind.name), GGUF):
            # Packed with the tokenizer, which the file does not have.
            file, packed = scratch / "model.gguf", scratch / "model.dora"
            model.gguf(file, kind)
            run(options, "dora-pack", file, "--tokenizer", options.folder, "-o", packed)
            measured(options, f"GGUF {kind.name}", packed)
        for name, (pack, quantization) in QUANTIZED.items():
            if not wanted.search(name):
                continue
            model.quantized(scratch / "quantized", pack, quantization)
            measured(options, name, scratch / "quantized")
            if options.same_v:
                model.decoded(scratch / "decoded", scratch / "quantized")
                measured(options, "the same V", scratch / "decoded", "--quantize", "int8")
                shutil.rmtree(scratch / "decoded")
            shutil.rmtree(scratch / "quantized")
    print(f"\n{found['tokens']} tokens; entropy of F32 {found['entropy']:.1f} nats")


if __name__ == "__main__":
    main()
