#!/usr/bin/env python3
"""dora-bench beside its peers (table.py) on the same weights, in alternation, each run a process of its own.

    python3 compare.py DORA_BENCH FOLDER [--rounds 3] [--json OUT] [--peers llama,torch] [--llama-python PYTHON] ...

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

from table import FORMATS, PEERS

HERE = Path(__file__).resolve().parent
# Shorter prompts say little about the prefill.
SHORTEST_PREFILL = 512
NEW_TOKENS = 32
MEASURES = ("prefill", "decode", "merge")


class Comparison:
    def __init__(self, options):
        self.options = options
        self.prefix = shlex.split(options.under)
        self.about = {}

    def python(self, peer):
        return getattr(self.options, f"{peer}_python")

    def installed(self, peer):
        return subprocess.run([self.python(peer), "-c", PEERS[peer].needs], capture_output=True).returncode == 0

    def output(self, *command):
        done = subprocess.run([*self.prefix, *map(str, command)], capture_output=True, text=True)
        if not done.stdout:
            sys.exit(f"{command}: {done.stderr}")
        return json.loads(done.stdout)

    def made(self, form):
        """A model or an adapter of random_model.py, or what a peer's script makes of one."""
        written = FORMATS.get(form)
        path = self.options.folder / f"1.1b-{form}{written.suffix if written else ''}"
        if not path.exists():
            # Under another name until it is whole.
            partial = path.with_name(path.name + ".partial")
            if written:
                command = [self.python(written.peer), HERE / written.script, self.made(written.source), form, partial]
            else:
                command = [sys.executable, HERE.parent / "random_model.py", "1.1b", form, partial]
            subprocess.run(command, check=True, stdout=sys.stderr)
            partial.rename(path)
        return path

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

    def theirs(self, peer, form, prompt, batch, *adapter):
        result = self.output(self.python(peer), HERE / PEERS[peer].run, self.made(form), *adapter, prompt, NEW_TOKENS,
                             batch, self.options.threads)
        self.about[peer] = result.pop("about")
        return result

    def rows(self, peer, pair, prompt, batch):
        adapter = [self.made("adapter")] if PEERS[peer].adapter else []
        rounds = []
        for _ in range(self.options.rounds):
            ours = self.ours(pair.ours, prompt, batch, *(["--adapter", *adapter] if adapter else []))
            theirs = self.theirs(peer, pair.theirs, prompt, batch, *adapter)
            rounds.append((ours, {pair.label: theirs, **theirs.pop("more", {})}))
        for label, measures in rounds[0][1].items():
            for measure in [m for m in MEASURES if m in measures and m in rounds[0][0]]:
                pairs = [(ours[measure], theirs[label][measure]) for ours, theirs in rounds]
                merge = measure == "merge"
                yield dict(format=pair.ours, peer=label, measure=measure, tokens=0 if merge else prompt, batch=batch,
                           ours=statistics.median(a for a, _ in pairs), theirs=statistics.median(b for _, b in pairs),
                           # A merge is in seconds: less is better.
                           ratio=statistics.median(b / a if merge else a / b for a, b in pairs))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--under", default="", help="command to run each measurement under")
    parser.add_argument("--activations", default="8", choices=["auto", "8", "16"],
                        help="dora-bench's; the peers have 8 bits")
    parser.add_argument("--peers", default=",".join(PEERS), help="only these; default: those whose Python has them")
    parser.add_argument("--points", help="only these prompts or contexts x sequences, such as 16x1,16x8,512x1")
    parser.add_argument("--weights", help="only these of ours, such as int8,nf4-double")
    for peer in PEERS:
        parser.add_argument(f"--{peer}-python", default=sys.executable)
    options = parser.parse_args()
    comparison = Comparison(options)
    rows = []
    print(f"{'weights':12}{'peer':30}{'measure':9}{'tokens':>7}{'batch':>6}{'dora':>9}{'peer':>9}{'ratio':>8}")
    for name in options.peers.split(","):
        if name not in PEERS:
            sys.exit(f"--peers: {name} is none of {', '.join(PEERS)}")
        if not comparison.installed(name):
            print(f"{name}: left out, {comparison.python(name)} cannot {PEERS[name].needs}", file=sys.stderr)
            continue
        for prompt, batch in PEERS[name].points:
            if options.points and f"{prompt}x{batch}" not in options.points.split(","):
                continue
            for pair in PEERS[name].pairs:
                if options.weights and pair.ours not in options.weights.split(","):
                    continue
                for row in comparison.rows(name, pair, prompt, batch):
                    rows.append(row)
                    print(f"{row['format']:12}{row['peer']:30}{row['measure']:9}{row['tokens']:>7}{row['batch']:>6}"
                          f"{row['ours']:>9.2f}{row['theirs']:>9.2f}{row['ratio']:>7.2f}x", flush=True)
    print("\ntokens/s, merges in seconds", *(f"{peer}: {about}" for peer, about in comparison.about.items()), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(dict(about=comparison.about, rows=rows), indent=1) + "\n")


if __name__ == "__main__":
    main()
