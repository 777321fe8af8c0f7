#!/usr/bin/env python3
"""Measures dora against the limits of this machine, and writes docs/benchmarks.md, .json and .svg.

    python3 Benchmarks/run.py            # everything: about 40 minutes, 25 GB of disk, 24 GiB of memory
    python3 Benchmarks/run.py --quick    # a subset: about 3 minutes
    python3 Benchmarks/run.py --peers    # hours more: peers/table.py, as far as installed (peers/requirements, IK_LLAMA=DIR)

Models of real shapes with random weights are made once and kept. Needs numpy, and a quiet machine.
"""

import argparse
import json
import platform
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

import report
from peers.table import PEERS

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE.parent / ".build/release"
BATCHES, CONTEXTS, PREFILLS = (1, 2, 4, 8, 16), (0, 512, 2048, 7000), (512, 2048, 7000)
# shape, format, adapter, batches, contexts, prefills
FULL = [
    ("1.1b", "int8", "adapter", BATCHES, CONTEXTS, PREFILLS),
    ("1.1b", "nf4-double", "adapter", BATCHES, CONTEXTS, PREFILLS),
    ("1.1b", "nf4", "adapter", BATCHES, CONTEXTS, PREFILLS),
    ("1.1b", "bf16", "adapter", BATCHES, CONTEXTS, PREFILLS),
    ("1.1b", "int8", "adapter-all", (1, 8), (0,), (512,)),
    ("1.1b", "nf4-double", "adapter-all", (1, 8), (0,), (512,)),
    ("8b", "int8", "adapter", (1, 8), (0, 2048), (512,)),
    ("8b", "nf4-double", "adapter", (1, 8), (0, 2048), (512,)),
    ("8b", "int8", "adapter-all", (1,), (0,), ()),
    ("8b", "nf4-double", "adapter-all", (1,), (0,), ()),
]
QUICK = [
    ("1.1b", "int8", "adapter", (1, 8), (0, 2048), (512,)),
    ("1.1b", "nf4-double", "adapter", (1, 8), (0, 2048), (512,)),
    ("1.1b", "int8", "adapter-all", (1,), (0,), ()),
]
STOPWATCH = ("import subprocess, sys, time; start = time.perf_counter(); "
             "subprocess.run(sys.argv[1:], check=True); print(time.perf_counter() - start)")


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = options.work
        self.prefix = shlex.split(options.under)
        self.impossible = []

    def made(self, shape, form):
        """A folder of random_model.py, made if it is not there."""
        folder = self.work / f"{shape}-{form}"
        whole = folder / ("adapter_model" if form.startswith("adapter") else "model")
        if not whole.with_suffix(".safetensors").exists():
            self.note(f"making {folder}")
            # Under another name until it is whole.
            partial = folder.with_name(folder.name + ".partial")
            subprocess.run([sys.executable, HERE / "random_model.py", shape, form, partial], check=True)
            partial.rename(folder)
        return folder

    def packed(self, shape, form):
        """The same as one file, or None where there is no dora-pack."""
        program, file = PROGRAMS / "dora-pack", self.work / f"{shape}-{form}.dora"
        if not program.exists():
            return None
        if not file.exists():
            self.note(f"packing {file}")
            subprocess.run([program, self.made(shape, form), "-o", file], check=True)
        return file

    def note(self, text):
        print(text, file=sys.stderr, flush=True)

    def run(self, *arguments):
        command = [*self.prefix, PROGRAMS / "dora-bench", "--threads", self.options.threads, *arguments]
        command = [str(word) for word in command]
        self.note(" ".join(command))
        done = subprocess.run(command, capture_output=True, text=True)
        if not done.stdout:
            sys.exit(f"dora-bench failed: {done.stderr}")
        if done.returncode:
            self.impossible.append(done.stderr.strip())
            self.note(done.stderr)
        return json.loads(done.stdout)

    def measure(self, shape, form, adapter, batches, contexts, prefills):
        def counts(values):
            return ",".join(map(str, values))

        result = self.run("--model", self.made(shape, form), "--adapter", self.made(shape, adapter),
                          "--batches", counts(batches), "--contexts", counts(contexts), "--prefills", counts(prefills),
                          "--rounds", self.options.rounds, "--merge-repeats", 3 if shape == "1.1b" else 2)
        return dict(shape=shape, format=form, adapter=adapter, **result)

    def load(self, shape, form):
        """Loading alone, and the time from the shell to a first token, for the folder and the packed file."""
        rows = []
        for kind, model in (("folder", self.made(shape, form)), ("packed file", self.packed(shape, form))):
            if model is None:
                continue
            only = ("--model", model, "--contexts", "", "--prefills", "")
            cold = self.run(*only, "--cold")
            warm = [self.run(*only)["load"]["seconds"] for _ in range(3)][1:]
            first = statistics.median(self.first_token(model) for _ in range(3))
            rows.append(dict(shape=shape, format=form, kind=kind, cold=cold["load"]["seconds"],
                             warm=statistics.median(warm), first_token=first, peak=cold["memory"]["peak"],
                             held=cold["memory"]["matrices"] + cold["memory"]["keyValues"]))
        return rows

    def first_token(self, model):
        """Seconds from the start of dora-generate to its end; what --under does before is not counted."""
        command = [*self.prefix, sys.executable, "-c", STOPWATCH, PROGRAMS / "dora-generate", "--model", model,
                   "--token-ids", "--max-tokens", 1, "--head", "q8", "--threads", self.options.threads]
        done = subprocess.run([str(word) for word in command], input=" ".join(str(100 + i) for i in range(16)),
                              capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return dict(cpu=names[0] if names else platform.machine(), memory=memory * 1024, system=platform.release(),
                date=time.strftime("%Y-%m-%d"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a subset, to standard output unless --out is given")
    parser.add_argument("--peers", action="store_true", help="measure what of peers/table.py is installed too")
    parser.add_argument("--work", type=Path, default=HERE.parent / ".build/benchmarks", help="keeps the models")
    parser.add_argument("--out", type=Path, help="folder of the results; default: docs")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--under", default="", help="command to run each measurement under, such as 'taskset -c 0,1'")
    parser.add_argument("--no-build", action="store_true")
    for peer, row in PEERS.items():
        parser.add_argument(f"--{peer}-python", default=sys.executable, help=f"a Python with {row.package}")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    out = options.out or (options.work if options.quick else HERE.parent / "docs")
    options.work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    if not options.no_build:
        subprocess.run(["swift", "build", "-c", "release"], cwd=HERE.parent, check=True, stdout=sys.stderr)

    bench = Bench(options)
    results = dict(machine=machine(), quick=options.quick, limits=bench.run()["limits"], runs=[], loads=[], peers=None)
    for plan in QUICK if options.quick else FULL:
        results["runs"].append(bench.measure(*plan))
    for shape, form in [("1.1b", "int8")] if options.quick else [("1.1b", "int8"), ("8b", "int8"), ("8b", "nf4-double")]:
        results["loads"] += bench.load(shape, form)
    if options.peers:
        peers = options.work / "peers.json"
        subprocess.run([sys.executable, HERE / "peers/compare.py", PROGRAMS / "dora-bench", options.work,
                        "--json", peers, "--under", options.under, "--threads", str(options.threads),
                        *(f"--{peer}-python={getattr(options, f'{peer}_python')}" for peer in PEERS),
                        *(["--rounds", "1"] if options.quick else [])], check=True, stdout=sys.stderr)
        results["peers"] = json.loads(peers.read_text())
    report.write(results, out)
    bench.note(f"written: {out}/benchmarks.md, .json, .svg")
    print(report.bars(results))
    if bench.impossible:
        sys.exit("more than the memory's bandwidth was measured:\n" + "\n".join(bench.impossible))


if __name__ == "__main__":
    main()
