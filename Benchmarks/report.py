"""Turns the results of run.py into docs/benchmarks.md, .json and .svg, and holds them against the bars."""

import json

import chart

NAMES = {"int8": "LLM.int8", "nf4": "NF4", "nf4-double": "NF4, double-quantized", "bf16": "BF16",
         "Q8_0": "the same file", "Q4_0": "the same file", "Q4_K_M": "the same file"}
ADAPTERS = {"adapter": "q/k/v, r=8", "adapter-all": "all linear, r=16"}


def write(results, folder):
    chart.benchmarks(results, folder / "benchmarks.svg")
    # A figure a line: readable, and kind to version control.
    text = json.dumps(results)
    for opening in ('{"shape"', '{"bandwidth"', '{"peak": "', '{"format"', '"runs"', '"loads"', '"peers"'):
        text = text.replace(opening, "\n" + opening).replace(" \n", "\n")
    (folder / "benchmarks.json").write_text(text + "\n")
    (folder / "benchmarks.md").write_text("\n".join(page(results)) + "\n")


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
            *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def page(results):
    machine, limits = results["machine"], results["limits"]
    yield from [
        "# Benchmarks", "",
        f"Written by `python3 Benchmarks/run.py{' --quick' if results['quick'] else ''}"
        f"{' --peers' if results['peers'] else ''}` on {machine['date']}. "
        f"{machine['cpu']}, {limits['threads']} threads, {machine['memory'] / 2**30:.0f} GiB, Linux {machine['system']}; "
        f"kernels {limits['kernels']}. Weights are random, shapes real; the head is Q8, keys and values F16.", "",
        "![decode rates](benchmarks.svg)", "",
        "A share is the rate divided by what the machine allows, measured in the same seconds: for decode the bytes "
        "that a step must read (every matrix once, every sequence's keys and values) by the read bandwidth, for "
        "prefill the multiply-adds of the linear layers by the peak of int8 (of f32 for BF16). Figures are medians; a "
        "share is the median of the rounds' shares.", "",
        "## The machine", ""]
    reads = [d["bandwidth"][k] / 1e9 for run in results["runs"] for d in run["decode"] for k in ("min", "median", "max")]
    yield from table(("limit", "at the start", "between the decode rounds"), [
        ("read bandwidth, GB/s", f"{limits['readBytesPerSecond'] / 1e9:.1f}",
         f"{min(reads):.1f} to {max(reads):.1f}, median {sorted(reads)[len(reads) // 2]:.1f}"),
        ("int8 multiply-adds, G/s", f"{limits['int8PerSecond'] / 1e9:.0f}", ""),
        ("f32 multiply-adds, G/s", f"{limits['floatPerSecond'] / 1e9:.0f}", "")])
    for shape in ("1.1b", "8b"):
        runs = [r for r in results["runs"] if r["shape"] == shape and r["adapter"] == "adapter"]
        if runs:
            yield from [f"## {shape.upper()} shape", ""]
        for run in runs:
            yield from decode(run)
        if runs:
            yield from prefill(runs)
    yield from adapters(results["runs"])
    yield from loads(results["loads"])
    if results["peers"]:
        yield from peers(results["peers"])
    yield from ["## The bars", "", bars(results)]
    yield from commands(results)


def decode(run):
    base = [d for d in run["decode"] if d["weights"] == "base"]
    batches = sorted({d["batch"] for d in base})
    yield f"Decode, {NAMES[run['format']]} ({run['load']['matrixBytes'] / 1e9:.2f} GB): tokens/s (share of the bandwidth)"
    yield ""
    rows = []
    for context in sorted({d["context"] for d in base}):
        cells = {d["batch"]: f"{d['tokensPerSecond']:.1f} ({d['share']['median']:.2f})"
                 for d in base if d["context"] == context}
        rows.append([context, *(cells.get(batch, "") for batch in batches)])
    yield from table(["context", *(f"batch {batch}" for batch in batches)], rows)


def prefill(runs):
    lengths = sorted({p["tokens"] for run in runs for p in run["prefill"]})
    rows = []
    for run in runs:
        cells = {p["tokens"]: f"{p['tokensPerSecond']:.0f} ({p['shareOfPeak']['median']:.2f})"
                 for p in run["prefill"] if p["weights"] == "base"}
        rows.append([NAMES[run["format"]], *(cells.get(n, "") for n in lengths)])
    yield from ["Prefill: tokens/s (share of the arithmetic peak, linear layers only)", ""]
    yield from table(["", *(f"{n} tokens" for n in lengths)], rows)


def adapters(runs):
    rows = []
    for run in runs:
        ratios = {(d["batch"], d["context"]): d["ratio"]["median"] for d in run["decode"] if d["weights"] == "adapted"}
        long = {k: v for k, v in ratios.items() if k != (1, 0)}
        merge, load = run["merge"], run["load"]
        seconds = merge["seconds"]["median"]
        rows.append((
            run["shape"].upper(), NAMES[run["format"]], ADAPTERS[run["adapter"]],
            f"{ratios[1, 0]:.3f}" if (1, 0) in ratios else "",
            f"{min(long.values()):.3f} to {max(long.values()):.3f}" if long else "",
            f"{load['matrixBytes'] / merge['matrixBytes']:.3f}", f"{seconds:.2f}",
            f"{merge['readBytes'] / seconds / 1e9:.2f}", f"{merge['bytes'] / 1e6:.0f}"))
    yield from ["## Adapters", "", "Merged decode rate / base decode rate, alternating in one process; the ratio of "
                "the bytes that the two read; and the merge (without reading the adapter's file).", ""]
    yield from table(("shape", "base", "adapter", "batch 1, context 0", "other batches and contexts", "bytes, base / merged",
                      "merge, s", "V read, GB/s", "new matrices, MB"), rows)


def loads(rows):
    yield from ["## Loading and memory", "", "Cold: the file was dropped from the page cache with "
                "`posix_fadvise(DONTNEED)`; what the disk's host still caches is not in our hands. First token: from the "
                "start of the process, 16-token prompt, warm page cache. Peak memory: `VmHWM` after loading and a step, "
                "over matrices + keys and values.", ""]
    yield from table(("shape", "base", "from", "cold, s", "warm, s", "first token, s", "peak memory, GB", "peak / held"), [
        (row["shape"].upper(), NAMES[row["format"]], row["kind"], f"{row['cold']:.2f}", f"{row['warm']:.2f}",
         f"{row['first_token']:.2f}", f"{row['peak'] / 1e9:.2f}", f"{row['peak'] / row['held']:.3f}") for row in rows])


def peers(result):
    yield from ["## Beside other programs", "",
                f"The same weights in alternation, 1.1B shape. {'. '.join(result['about'].values())}.", ""]
    yield from table(("weights", "peer", "measure", "tokens", "batch", "dora", "peer", "ratio"), [
        (NAMES[r["format"]], r["peer"], r["measure"] + (", s" if r["measure"] == "merge" else ", tokens/s"), r["tokens"] or "",
         r["batch"], f"{r['ours']:.2f}", f"{r['theirs']:.2f}", f"{r['ratio']:.2f}") for r in result["rows"]])


def commands(results):
    yield from ["## Again", "", "```sh",
                "python3 Benchmarks/run.py            # this page; --quick for a subset in three minutes",
                "python3 Benchmarks/run.py --peers    # beside llama.cpp, PyTorch, vLLM, OpenVINO (peers/requirements) and ik_llama.cpp (IK_LLAMA=DIR)",
                ".build/release/dora-bench --help     # one model, one adapter, any batches and contexts", "```"]


class Figures:
    """What was measured, by what it is; None for what was not."""

    def __init__(self, results):
        self.results = results
        self.peers = (results["peers"] or {}).get("rows", [])

    def run(self, shape, form, adapter="adapter"):
        for run in self.results["runs"]:
            if (run["shape"], run["format"], run["adapter"]) == (shape, form, adapter):
                return run
        return {}

    def decode(self, form, batch=1, context=0, weights="base", adapter="adapter"):
        for d in self.run("1.1b", form, adapter).get("decode", []):
            if (d["weights"], d["batch"], d["context"]) == (weights, batch, context):
                return d
        return None

    def peer(self, form, peer, measure, tokens, batch=1):
        for r in self.peers:
            if (r["format"], r["measure"], r["tokens"], r["batch"]) == (form, measure, tokens, batch) and r["peer"] == peer:
                return r["ratio"]
        return None

    def merge(self, shape, form, adapter):
        merge = self.run(shape, form, adapter).get("merge")
        return merge and merge["seconds"]["median"]


def bars(results):
    """Each bar as a row of a Markdown table."""
    f = Figures(results)

    def share(form):
        d = f.decode(form)
        return d and d["share"]["median"]

    def adapted(form, adapter="adapter"):
        d = f.decode(form, weights="adapted", adapter=adapter)
        return d and d["ratio"]["median"]

    one, eight = f.decode("int8"), f.decode("int8", batch=8)
    scaling = eight["tokensPerSecond"] / one["tokensPerSecond"] if one and eight else None
    packed = [row["first_token"] for row in results["loads"] if (row["shape"], row["kind"]) == ("8b", "packed file")]
    peaks = [row["peak"] / row["held"] for row in results["loads"]]
    llama8, llama4 = "llama.cpp Q8_0", "llama.cpp Q4_0"
    rows = [
        ("decode, LLM.int8 / llama.cpp Q8_0", f.peer("int8", llama8, "decode", 16), 1.0, 1.06),
        ("decode, LLM.int8, share of the bandwidth", share("int8"), 0.95, None),
        ("decode, NF4 / llama.cpp Q4_0", f.peer("nf4-double", llama4, "decode", 16), 0.97, 1.02),
        ("decode, NF4, share of the bandwidth", share("nf4-double"), 0.90, None),
        *((f"decode at context {context}, {NAMES[form]} / {peer}", f.peer(form, peer, "decode", context), 1.1, 1.25)
          for context in (2048, 7000) for form, peer in (("int8", llama8), ("nf4-double", llama4))),
        ("prefill 512, LLM.int8 / llama.cpp Q8_0", f.peer("int8", llama8, "prefill", 512), 2.5, 3.3),
        ("prefill 512, LLM.int8 / PyTorch BF16", f.peer("int8", "transformers bf16", "prefill", 512), 1.4, 2.0),
        ("prefill 512, NF4 / llama.cpp Q4_0", f.peer("nf4-double", llama4, "prefill", 512), 1.7, 2.3),
        ("prefill 7000, LLM.int8 / llama.cpp Q8_0", f.peer("int8", llama8, "prefill", 7000), 2.5, 4.0),
        *((f"{measure}, {form} / llama.cpp", f.peer(form, f"llama.cpp {form}", *point), bar, None)
          for form, decode, prefill in (("Q8_0", 1.3, 3.0), ("Q4_0", 1.25, 2.0), ("Q4_K_M", 1.15, 1.5))
          for measure, point, bar in (("decode", ("decode", 16), decode), ("prefill 512", ("prefill", 512), prefill))),
        ("decode, LLM.int8, batch 8 / batch 1", scaling, 6.0, 7.5),
        ("decode, batch 8, LLM.int8 / llama.cpp Q8_0", f.peer("int8", llama8, "decode", 16, 8), 2.0, 2.5),
        ("q/k/v adapter / base, LLM.int8", adapted("int8"), 0.985, 0.995),
        ("q/k/v adapter / base, NF4", adapted("nf4-double"), 0.90, 0.95),
        ("all-linear adapter / base, LLM.int8", adapted("int8", "adapter-all"), 0.95, None),
        ("merge q/k/v into the 1.1B, times faster than PEFT", f.peer("int8", "PEFT bf16, merge_and_unload", "merge", 0), 5.0, 10.0),
        ("merge q/k/v into the 8B, LLM.int8, s", f.merge("8b", "int8", "adapter"), -2.0, -1.0),
        ("merge all-linear into the 8B, LLM.int8, s", f.merge("8b", "int8", "adapter-all"), -15.0, -8.0),
        ("first token from a packed 8B, s", max(packed, default=None), -4.0, -2.0),
        ("peak memory / (matrices + keys and values)", max(peaks, default=None), -1.05, None),
    ]

    def bound(value):
        return "" if value is None else f"≤ {-value:g}" if value < 0 else f"≥ {value:g}"

    def verdict(value, bar, stretch):
        if value is None:
            return "not measured"
        sign = -1 if bar < 0 else 1
        if stretch is not None and sign * value >= stretch:
            return "stretch"
        return "met" if sign * value >= bar else "**not met**"

    return "\n".join(table(("bar", "measured", "bar", "stretch", ""), [
        (name, "" if value is None else f"{value:.3f}", bound(bar), bound(stretch), verdict(value, bar, stretch))
        for name, value, bar, stretch in rows]))
