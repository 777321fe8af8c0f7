#!/usr/bin/env python3
"""dora-generate beside llama.cpp on the same weights, in alternation, each run a process of its own.

    python3 compare.py DORA_GENERATE FOLDER [--rounds 3] [--contexts 16,512,2048,7000] [--json OUT]

FOLDER holds what prepare.sh made. Figures are medians over the rounds; the ratio is the median of the rounds' ratios,
because the machine's speed drifts.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

PAIRS = [("LLM.int8", "int8", "Q8_0.gguf"), ("NF4, double-quantized", "nf4-double", "Q4_0.gguf")]
NEW_TOKENS = 48


def ours(program, model, prompt, adapter=None):
    ids = " ".join(str(100 + i % 30000) for i in range(prompt))
    command = [program, "--model", model, "--token-ids", "--ignore-eos", "--head", "q8",
               "--threads", "2", "--max-tokens", str(NEW_TOKENS + 1), "--json"]
    command += ["--adapter", adapter] if adapter else []
    reply = json.loads(subprocess.run(command, input=ids, capture_output=True, text=True, check=True).stdout)
    timing = reply["timing"]
    return prompt / timing["prefill"], NEW_TOKENS / timing["decode"]


def theirs(model, prompt):
    script = Path(__file__).with_name("llama_cpp_run.py")
    command = [sys.executable, script, model, str(prompt), str(NEW_TOKENS)]
    timing = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return prompt / timing["prefill_seconds"], timing["new_tokens"] / timing["decode_seconds"], timing["flags"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contexts", default="16,512,2048,7000")
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    print(f"{'weights':24}{'prompt':>7}  {'':8}{'dora':>8}{'llama.cpp':>11}{'ratio':>7}  {'with adapter':>12}")
    for name, model, peer in PAIRS:
        for prompt in map(int, options.contexts.split(",")):
            rounds = []
            for _ in range(options.rounds):
                base = ours(options.program, options.folder / model, prompt)
                other = theirs(options.folder / peer, prompt)
                adapted = ours(options.program, options.folder / model, prompt, options.folder / "adapter")
                rounds.append((base, other, adapted))
            for index, what in enumerate(("prefill", "decode")):
                def middle(value):
                    return statistics.median(value(r) for r in rounds)
                row = dict(weights=name, prompt=prompt, measure=what, dora=middle(lambda r: r[0][index]),
                           llama_cpp=middle(lambda r: r[1][index]),
                           ratio=middle(lambda r: r[0][index] / r[1][index]),
                           adapter_to_base=middle(lambda r: r[2][index] / r[0][index]))
                rows.append(row)
                print(f"{name:24}{prompt:>7}  {what:8}{row['dora']:>8.1f}{row['llama_cpp']:>11.1f}{row['ratio']:>6.2f}x"
                      f"  {row['adapter_to_base']:>11.3f}x", flush=True)
    print(f"\ntokens/s; llama.cpp: {rounds[0][1][2]}")
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
