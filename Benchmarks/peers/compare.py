#!/usr/bin/env python3
"""dora-bench beside llama.cpp and PyTorch on the same weights, in alternation, each run a process of its own.

    python3 compare.py DORA_BENCH FOLDER [--rounds 3] [--json OUT] [--llama-python PYTHON] [--torch-python PYTHON]

FOLDER keeps the models; what is missing is made. Figures are medians over the rounds; a ratio is the median of the
rounds' ratios, because the machine's speed drifts. run.py --peers calls this and prints what it makes of the bars.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Ours and the peer's; a GGUF file is one and the same for both.
PAIRS = [("int8", "Q8_0"), ("nf4-double", "Q4_0"), ("Q8_0", "Q8_0"), ("Q4_0", "Q4_0"), ("Q4_K_M", "Q4_K_M")]
# prompt or context, sequences
POINTS = [(16, 1), (16, 8), (512, 1), (2048, 1), (7000, 1)]
# Shorter prompts say little about the prefill.
SHORTEST_PREFILL = 512
NEW_TOKENS = 32


class Peers:
    def __init__(self, options):
        self.options = options
        self.prefix = shlex.split(options.under)
        self.flags = None

    def output(self, *command):
        done = subprocess.run([*self.prefix, *map(str, command)], capture_output=True, text=True)
        if not done.stdout:
            sys.exit(f"{command}: {done.stderr}")
        return json.loads(done.stdout)

    def made(self, form):
        """A model or an adapter of random_model.py, or a GGUF file with the weights of the int8 model."""
        if form.startswith("Q"):
            file = self.options.folder / f"1.1b-{form}.gguf"
            if not file.exists():
                partial = file.with_suffix(".partial")
                mixed = form == "Q4_K_M"
                script = "requantize_gguf.py" if mixed else "write_gguf.py"
                subprocess.run([self.options.llama_python, HERE / script, self.made("Q8_0" if mixed else "int8"), form,
                                partial], check=True)
                partial.rename(file)
            return file
        folder = self.options.folder / f"1.1b-{form}"
        if not folder.exists():
            partial = folder.with_name(folder.name + ".partial")
            subprocess.run([sys.executable, HERE.parent / "random_model.py", "1.1b", form, partial], check=True)
            partial.rename(folder)
        return folder

    def ours(self, form, prompt, batch, *more):
        prefills = prompt if prompt >= SHORTEST_PREFILL else ""
        result = self.output(
            self.options.program, "--model", self.made(form), "--threads", self.options.threads,
            "--contexts", prompt, "--batches", batch, "--prefills", prefills, "--prefill-repeats", 1,
            "--rounds", 1, "--steps", NEW_TOKENS, "--activations", self.options.activations, *more)
        figures = dict(decode=result["decode"][0]["tokensPerSecond"])
        if prefills:
            figures["prefill"] = result["prefill"][0]["tokensPerSecond"]
        if "merge" in result:
            figures["merge"] = result["merge"]["seconds"]["median"]
        return figures

    def llama(self, form, prompt, batch):
        timing = self.output(self.options.llama_python, HERE / "llama_cpp_run.py", self.made(form), prompt, NEW_TOKENS,
                             batch, self.options.threads)
        self.flags = timing["flags"]
        return dict(decode=timing["new_tokens"] / timing["decode_seconds"], prefill=prompt / timing["prefill_seconds"])

    def against_llama(self, form, peer, prompt, batch):
        rounds = [(self.ours(form, prompt, batch), self.llama(peer, prompt, batch))
                  for _ in range(self.options.rounds)]
        for measure in ("prefill", "decode"):
            if measure not in rounds[0][0]:
                continue
            yield dict(format=form, peer=f"llama.cpp {peer}", measure=measure, tokens=prompt, batch=batch,
                       ours=middle(a[measure] for a, _ in rounds), theirs=middle(b[measure] for _, b in rounds),
                       ratio=middle(a[measure] / b[measure] for a, b in rounds))

    def against_torch(self):
        """bfloat16 beside LLM.int8: the base, the adapter unmerged and merged, and the merge itself."""
        rounds = []
        for _ in range(self.options.rounds):
            ours = self.ours("int8", 512, 1, "--adapter", self.made("adapter"))
            theirs = self.output(self.options.torch_python, HERE / "torch_run.py", self.made("int8"),
                                 self.made("adapter"), 512, NEW_TOKENS // 2, self.options.threads)
            rounds.append((ours, theirs))
        for kind, name in (("base", "transformers bf16"), ("unmerged", "PEFT bf16, unmerged"),
                           ("merged", "PEFT bf16, merged")):
            for measure in ("prefill", "decode"):
                yield dict(format="int8", peer=name, measure=measure, tokens=512, batch=1,
                           ours=middle(a[measure] for a, _ in rounds),
                           theirs=middle(b[kind][measure] for _, b in rounds),
                           ratio=middle(a[measure] / b[kind][measure] for a, b in rounds))
        yield dict(format="int8", peer="PEFT bf16, merge_and_unload", measure="merge", tokens=0, batch=1,
                   ours=middle(a["merge"] for a, _ in rounds), theirs=middle(b["merge_seconds"] for _, b in rounds),
                   ratio=middle(b["merge_seconds"] / a["merge"] for a, b in rounds))


def middle(values):
    return statistics.median(list(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--under", default="", help="command to run each measurement under")
    parser.add_argument("--llama-python", default=sys.executable)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--activations", default="auto", choices=["auto", "8", "16"], help="dora-bench's")
    parser.add_argument("--points", help="only these, such as 16x1,16x8,512x1; 'torch' for PyTorch")
    options = parser.parse_args()
    peers = Peers(options)
    wanted = options.points.split(",") if options.points else [f"{p}x{b}" for p, b in POINTS] + ["torch"]
    rows = []
    print(f"{'weights':12}{'peer':30}{'measure':9}{'tokens':>7}{'batch':>6}{'dora':>9}{'peer':>9}{'ratio':>8}")

    def show(row):
        rows.append(row)
        print(f"{row['format']:12}{row['peer']:30}{row['measure']:9}{row['tokens']:>7}{row['batch']:>6}"
              f"{row['ours']:>9.2f}{row['theirs']:>9.2f}{row['ratio']:>7.2f}x", flush=True)

    for prompt, batch in POINTS:
        for form, peer in PAIRS if f"{prompt}x{batch}" in wanted else []:
            for row in peers.against_llama(form, peer, prompt, batch):
                show(row)
    if "torch" in wanted:
        for row in peers.against_torch():
            show(row)
    print(f"\ntokens/s, merges in seconds; llama.cpp: {peers.flags}")
    if options.json:
        options.json.write_text(json.dumps(dict(flags=peers.flags, rows=rows), indent=1) + "\n")


if __name__ == "__main__":
    main()
