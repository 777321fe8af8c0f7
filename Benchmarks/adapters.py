"""Decode rate against the number of different adapters in a batch, merged and factored:

    python3 Benchmarks/adapters.py ADAPTER int8=MODEL nf4-double=MODEL --chart docs/adapters.svg

MODELs and ADAPTER are folders as random_model.py makes them; a batch has as many sequences as adapters, each adapter a copy
with memory of its own. Each figure is beside the base's in its own run of dora-bench: batches of equal size alternate.
Prints a table; `--out` keeps the figures. Standard library only.
"""
import argparse, json, os, pathlib, subprocess

import chart

COUNTS = (1, 2, 4, 8, 16)


def measure(args, model, form, count):
    run = subprocess.run(
        [f"{args.bin}/dora-bench", "--model", model, "--adapter", args.adapter, "--adapter-form", form,
         "--adapter-copies", str(count), "--batches", str(count), "--contexts", "0", "--rounds", str(args.rounds),
         "--steps", "4", "--merge-repeats", "1"], check=True, capture_output=True)
    base, adapted = json.loads(run.stdout)["decode"]
    return {"base": base["tokensPerSecond"], "rate": adapted["tokensPerSecond"], "ratio": adapted["ratio"]["median"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adapter")
    parser.add_argument("models", nargs="+", metavar="name=model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(__file__), "../.build/release"))
    parser.add_argument("--out", help="file for the figures (JSON)")
    parser.add_argument("--chart", help="file for the chart (SVG)")
    args = parser.parse_args()
    figures = {}
    print("| base, form | " + " | ".join(map(str, COUNTS)) + " |\n|---|" + "---|" * len(COUNTS))
    for name, model in (word.split("=", 1) for word in args.models):
        for form in ("merged", "factored"):
            row = figures[f"{name}, {form}"] = {count: measure(args, model, form, count) for count in COUNTS}
            print(f"| {name}, {form} | " + " | ".join(f"{f['rate']:.0f} ({f['ratio']:.2f})" for f in row.values()) + " |",
                  flush=True)
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(figures, indent=1))
    if args.chart:
        lines = [(name, [(count, f["ratio"]) for count, f in row.items()]) for name, row in figures.items()]
        pathlib.Path(args.chart).write_text(chart.lines(
            "Decode rate, of the base's with as many sequences", "different adapters in the batch", lines))


if __name__ == "__main__":
    main()
