"""Exports beside transformers, PEFT and llama.cpp: make check-export PYTHON=…

    python3 Tests/Export/check.py [--bin .build/release] [--only REGEX] [--parts golden,families,made,merge,tokenizers,gguf,lora]

- golden, families: every golden case, exported in F32 in small shards and loaded by transformers, has the log
  probabilities that PEFT's forward had when the fixture was made (1e-4).
- made: models of made.py, as folders and as GGUF, beside PEFT; what GGUF cannot say is refused by name.
- merge: the demo adapters, on the LLM.int8 base and on it as NF4, against PEFT's `merge_and_unload` on what bitsandbytes'
  codes stand for.
- gguf: llama.cpp loads families and golden cases as GGUF in F32, and answers as PEFT did, as far as its own arithmetic lets
  it; the demo adapters in F16, BF16 and Q8_0 have its greedy tokens, and texts its ids. Q8_0's blocks are gguf-py's.
- lora: PEFT loads what `--as-lora` wrote; the matrices that it merges are as far from DoRA's as was printed, and as near as
  the best of the rank. With LLAMA_CPP naming llama.cpp's source, its converter takes the adapter and llama.cpp answers alike.
- tokenizers: `AutoTokenizer` on the folder gives the ids that dora gives, and the template that the adapter came with.

Needs what Tests/Fixtures/make/requirements.txt lists.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/Fixtures/make"), str(ROOT / "Tests/Families")]
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1", BITSANDBYTES_NOWELCOME="1")
warnings.simplefilter("ignore")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

import reference

logging.set_verbosity(50)
logging.disable_progress_bar()
torch.set_num_threads(2)
torch.set_grad_enabled(False)
FIXTURES = ROOT / "Tests/Fixtures"
TOLERANCE = 1e-4


class Exporter:
    def __init__(self, folder):
        self.folder = folder
        self.work = Path(tempfile.mkdtemp(prefix="dora-export-"))

    def run(self, *words, program="dora-export"):
        return subprocess.run([self.folder / program, *map(str, words)], capture_output=True, text=True, cwd=ROOT)

    def export(self, base, adapter, *options):
        """The folder or file that was written, or the line that refused it."""
        out = self.work / ("out.gguf" if "gguf" in options else "out")
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
        words = ["--model", base, *(["--adapter", adapter] if adapter else []), "-o", out, *options]
        done = self.run(*words)
        if done.returncode:
            assert not out.exists() and done.returncode in (64, 65), done
            return done.stderr.strip().splitlines()[-1]
        return out


def load(folder):
    """As transformers loads it, with nothing left over or made up."""
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    missing = [key for key in report["missing_keys"] if "inv_freq" not in key]
    assert not missing and not report["unexpected_keys"] and not report["mismatched_keys"], report
    return model.eval()


def logprobs(model, ids):
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double().log_softmax(-1)


def distance(model, golden):
    worst = 0.0
    for prompt in golden["prompts"]:
        ids, length = prompt["prompt_ids"] + prompt["greedy_ids"], len(prompt["prompt_ids"])
        rows = torch.cat([reference.whole(model, ids[:length])[:-1], reference.decoding(model, ids[:-1], length)])
        found = reference.logprobs(rows).gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
        recorded = torch.tensor(prompt["prompt_logprobs"] + prompt["greedy_logprobs"], dtype=torch.float64)
        worst = max(worst, (found - recorded).abs().max().item())
    return worst


def check_case(exporter, golden, bases, adapters):
    name = f"{golden['base']} {golden['adapter'] or ''} {golden['quantize'] or ''}".strip()
    adapter = golden["adapter"] and re.sub(r"(^|\+)", rf"\g<1>{adapters}/", golden["adapter"])
    quantize = ["--quantize", golden["quantize"]] if golden["quantize"] else []
    out = exporter.export(bases / golden["base"], adapter, "--dtype", "f32", "--shard-size", "40kB", *quantize)
    if isinstance(out, str):
        print(f"  {name}: {out}")
        return "refused"
    found = distance(load(out), golden)
    if found > TOLERANCE:
        print(f"  {name}: {found:.1e} from PEFT")
        return "wrong"
    return "right"


def tally(title, results):
    counts = {kind: results.count(kind) for kind in ("right", "refused", "wrong")}
    print(f"{title}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()), flush=True)
    return counts["wrong"] + (not counts["right"])


def check_golden(exporter, only):
    files = [f for f in sorted((FIXTURES / "golden").glob("*.json")) if f.stem != "peft_matching" and re.search(only, f.stem)]
    cases = [json.loads(f.read_text()) for f in files]
    return tally("golden", [check_case(exporter, c, FIXTURES / "bases", FIXTURES / "adapters") for c in cases])


def check_families(exporter, only):
    root, results = FIXTURES / "families", []
    for folder in sorted(root.iterdir()):
        if not re.search(only, folder.name):
            continue
        for golden in json.loads((folder / "golden.json").read_text())["cases"]:
            results.append(check_case(exporter, golden, root, root))
    return tally("families", results)


def decoded(folder):
    """A bitsandbytes checkpoint as a dense F32 model."""
    import common

    return common.dense_model(folder)


def check_merge(exporter, only):
    from peft import PeftModel

    results = []
    for name in ("sentiment", "topic"):
        adapter = ROOT / "models/adapters" / name
        merged = PeftModel.from_pretrained(decoded(ROOT / "models/base"), adapter).merge_and_unload().eval()
        out = exporter.export(ROOT / "models/base", adapter, "--dtype", "f32")
        results.append(compare(f"models/base {name}", merged, load(out)))
    for base, adapter in (("int8", "dora-qkv-int8"), ("nf4", "dora-qkv-nf4"), ("nf4", "dora-all-nf4"), ("nf4-double", "dora-qkv-nf4-double")):
        if not re.search(only, base):
            continue
        merged = PeftModel.from_pretrained(decoded(FIXTURES / "bases" / base), FIXTURES / "adapters" / adapter)
        out = exporter.export(FIXTURES / "bases" / base, FIXTURES / "adapters" / adapter, "--dtype", "f32")
        results.append(compare(f"{base} {adapter}", merged.merge_and_unload().eval(), load(out)))
    return tally("merge_and_unload", results)


def compare(name, theirs, mine):
    generator = torch.Generator().manual_seed(1)
    worst = 0.0
    for length in (3, 20, 60):
        ids = torch.randint(2, theirs.config.vocab_size, (length,), generator=generator).tolist()
        worst = max(worst, (logprobs(theirs, ids) - logprobs(mine, ids)).abs().max().item())
    print(f"  {name}: {worst:.1e} from merge_and_unload")
    return "right" if worst <= TOLERANCE else "wrong"


# llama.cpp's own sums are in other orders and its softmax and activations in tables of halves.
LLAMA_TOLERANCE = 2e-2


def check_gguf(exporter, only):
    import llama

    results = []

    def compare(title, out, prompts, tolerance):
        if isinstance(out, str):
            print(f"  {title}: {out}")
            return results.append("refused")
        model, worst, same = llama.Model(out), 0.0, True
        for prompt in prompts:
            ids, length = prompt["prompt_ids"] + prompt["greedy_ids"], len(prompt["prompt_ids"])
            rows = model.logprobs(ids)[:-1]
            found = rows.gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
            recorded = torch.tensor(prompt["prompt_logprobs"] + prompt["greedy_logprobs"], dtype=torch.float64)
            worst = max(worst, (found - recorded).abs().max().item())
            same &= not prompt["greedy_ids"] or rows[length - 1 :].argmax(-1).tolist() == prompt["greedy_ids"]
        model.close()
        print(f"  {title}: {worst:.1e} from PEFT{'' if same else ', other tokens'}", flush=True)
        results.append("right" if worst <= tolerance and same else "wrong")

    root = FIXTURES / "families"
    for folder in sorted(root.iterdir()):
        if re.search(only, folder.name):
            for golden in json.loads((folder / "golden.json").read_text())["cases"]:
                if golden["quantize"] or "base-" in golden["base"]:
                    continue
                adapter = golden["adapter"] and root / golden["adapter"]
                out = exporter.export(root / golden["base"], adapter, "--format", "gguf", "--dtype", "f32")
                prompts = golden["prompts"]
                if folder.name in LONGROPE:
                    prompts = [
                        dict(prompt_ids=p["prompt_ids"][:WINDOW], prompt_logprobs=p["prompt_logprobs"][: WINDOW - 1],
                             greedy_ids=[], greedy_logprobs=[])
                        for p in prompts if len(p["prompt_ids"]) > WINDOW]
                compare(f"{golden['base']} {golden['adapter'] or ''}", out, prompts, LLAMA_TOLERANCE)
    for case in LLAMA_CASES:
        if re.search(only, case):
            golden = json.loads((FIXTURES / "golden" / f"{case}.json").read_text())
            adapter = FIXTURES / "adapters" / golden["adapter"]
            out = exporter.export(FIXTURES / "bases" / golden["base"], adapter, "--format", "gguf", "--dtype", "f32")
            compare(case, out, golden["prompts"], LLAMA_TOLERANCE)
    return tally("gguf", results + check_demo(exporter) + check_blocks(exporter))


def check_made(exporter, only):
    import llama
    import made

    results, work = [], exporter.work / "made"
    ids = torch.randint(3, 48, (40,), generator=torch.Generator().manual_seed(1)).tolist()
    for name in [*made.CONFIGS, *made.REFUSED]:
        if not re.search(only, name):
            continue
        shutil.rmtree(work, ignore_errors=True)
        for model, adapter in zip(made.make(name, work), (None, work / "adapter")):
            theirs = logprobs(model, ids)
            folder = exporter.export(work / "base", adapter, "--dtype", "f32")
            mine = (logprobs(load(folder), ids) - theirs).abs().max().item()
            out = exporter.export(work / "base", adapter, "--format", "gguf", "--dtype", "f32")
            title = f"  {name}{' dora' if adapter else ''}: {mine:.1e} as a folder, "
            if refusal := made.REFUSED.get(name):
                right = isinstance(out, str) and refusal[-1] in out
                print(title + ("refused as GGUF" if right else f"{out} as GGUF, not refused for {refusal[-1]}"), flush=True)
            elif isinstance(out, str):
                right = False
                print(title + out, flush=True)
            else:
                loaded = llama.Model(out)
                rows = loaded.logprobs(ids)
                loaded.close()
                found = (rows - theirs).gather(-1, theirs.topk(3).indices).abs().max().item()
                right = found <= LLAMA_TOLERANCE
                print(f"{title}{found:.1e} as GGUF", flush=True)
            results.append("right" if right and mine <= TOLERANCE else "wrong")
    return tally("made", results)


# llama.cpp takes the factors for long texts by the size of its context, which is larger here than the original one of 16, and
# leaves out Phi 3's window, here of 24.
WINDOW = 24
LONGROPE = ("llama-longrope", "phi3")
LLAMA_CASES = [
    "gqa-f32--dora-qkv", "biases--dora-bias-all", "llama3-rope--dora-qkv-llama3-rope", "linear-rope--dora-qkv-linear-rope",
    "head-dim--dora-all-head-dim", "tied-f32--dora-tied-qkv", "tied-f32--dora-head-tied", "gqa-f32--dora-resized-save",
    "gqa-f32--dora-embed", "nf4--dora-qkv-nf4", "int8--dora-qkv-int8", "gguf-classic.gguf--dora-all-gguf",
]


def check_demo(exporter):
    """From text to text with the demo adapters: ids, and PEFT's greedy answers to its own prompts."""
    import llama
    from peft import PeftModel

    results = []
    prompts = [json.loads(line)["context"] for line in (ROOT / "models/evaluation/sentiment.jsonl").read_text().splitlines()[:20]]
    for name in ("sentiment", "topic"):
        adapter = ROOT / "models/adapters" / name
        theirs = PeftModel.from_pretrained(decoded(ROOT / "models/base"), adapter).merge_and_unload().eval()
        words = AutoTokenizer.from_pretrained(ROOT / "models/base")
        for dtype in ("f32", "f16", "bf16", "q8_0"):
            model = llama.Model(exporter.export(ROOT / "models/base", adapter, "--format", "gguf", "--dtype", dtype))
            wrong = sum(model.ids(text) != words(text)["input_ids"] for text in TEXTS + prompts)
            same = worst = 0
            for prompt in prompts:
                ids = words(prompt)["input_ids"]
                a, b = logprobs(theirs, ids)[-1], model.logprobs(ids)[-1]
                same += a.argmax() == b.argmax()
                worst = max(worst, (a - b).abs()[a.topk(3).indices].max().item())
            wrong += not model.ends(words.eos_token_id)
            print(f"  {name} {dtype}: {wrong} other ids, {same} of {len(prompts)} answers, {worst:.1e} from PEFT", flush=True)
            results.append("right" if not wrong and same >= len(prompts) - (dtype == "q8_0") else "wrong")
            model.close()
    return results


def check_blocks(exporter):
    """Bit by bit."""
    import gguf
    import numpy as np

    files = {}
    for dtype in ("f32", "q8_0", "f16", "bf16"):
        out = exporter.export(ROOT / "models/base", ROOT / "models/adapters/topic", "--format", "gguf", "--dtype", dtype)
        files[dtype] = {t.name: (t.tensor_type, np.array(t.data)) for t in gguf.GGUFReader(out).tensors}
    wrong = 0
    for dtype in ("q8_0", "f16", "bf16"):
        for name, (kind, data) in files[dtype].items():
            original = files["f32"][name][1]
            expected = gguf.quants.quantize(original, kind)
            wrong += expected.tobytes() != data.tobytes()
    print(f"  blocks: {wrong} tensors that differ from gguf-py's")
    return ["wrong" if wrong else "right"]


def check_lora(exporter, only):
    from peft import PeftModel

    results = []
    cases = [(ROOT / "models/base", ROOT / "models/adapters/sentiment"), (FIXTURES / "bases/nf4", FIXTURES / "adapters/dora-qkv-nf4"),
             (FIXTURES / "bases/bf16", FIXTURES / "adapters/dora-layers"), (FIXTURES / "families/gemma2/base", FIXTURES / "families/gemma2/dora")]
    for base, adapter in cases:
        if not re.search(only, base.name):
            continue
        dense = lambda: decoded(base) if "families" not in str(base) else load(base)
        before = dense()
        full = PeftModel.from_pretrained(dense(), adapter).merge_and_unload()
        for rank in (4, 16, 4096):
            if rank == 4096:
                rank = full.config.hidden_size
            done = exporter.run("--model", base, "--adapter", adapter, "--as-lora", rank, "-o", exporter.work / "lora")
            assert done.returncode == 0, done
            printed = {name: float(share) for share, name in (line.split(" ", 1) for line in done.stdout.splitlines())}
            small = PeftModel.from_pretrained(dense(), exporter.work / "lora").merge_and_unload()
            worst = 0.0
            for name, share in printed.items():
                if name == "of all":
                    continue
                v, w, l = (m.get_submodule(name).weight.double() for m in (before, full, small))
                singular = torch.linalg.svdvals(w - v)
                best = (singular[:rank].square().sum() / singular.square().sum()).item()
                kept = 1 - ((w - l).norm() / (w - v).norm()).item() ** 2
                worst = max(worst, abs(kept - share), best - kept)
            shutil.rmtree(exporter.work / "lora")
            print(f"  {base.name} {adapter.name} rank {rank}: {printed['of all']} kept, {worst:.1e} from what is printed and from the best")
            results.append("right" if worst < 2e-3 else "wrong")
    if "LLAMA_CPP" in os.environ:
        results.append(check_converted_lora(exporter))
    return tally("lora", results)


def check_converted_lora(exporter):
    """llama.cpp's converter takes the adapter, and llama.cpp with it answers as PEFT with it."""
    import llama
    from peft import PeftModel

    source, work = Path(os.environ["LLAMA_CPP"]), exporter.work
    base, adapter = ROOT / "models/base", ROOT / "models/adapters/sentiment"
    for options in (["--as-lora", 32, "-o", work / "lora"], ["-o", work / "base"]):
        assert exporter.run("--model", base, "--adapter", adapter, *options).returncode == 0
    subprocess.run(
        [sys.executable, source / "convert_lora_to_gguf.py", work / "lora", "--base", work / "base", "--outfile",
         work / "lora.gguf", "--outtype", "f32"],
        check=True, capture_output=True, env={**os.environ, "PYTHONPATH": f"{source / 'gguf-py'}:{source}"})
    theirs = PeftModel.from_pretrained(decoded(base), work / "lora").merge_and_unload().eval()
    model = llama.Model(exporter.export(base, None, "--format", "gguf", "--dtype", "f32"))
    plain = distance_in(model, theirs)
    model.adapt(work / "lora.gguf")
    found = distance_in(model, theirs)
    print(f"  converted for llama.cpp: {found:.1e} from PEFT, {plain:.1e} without it")
    return "right" if found < LLAMA_TOLERANCE < plain else "wrong"


def distance_in(model, theirs):
    ids = [0] + torch.randint(2, 1024, (40,), generator=torch.Generator().manual_seed(1)).tolist()
    a, b = logprobs(theirs, ids), model.logprobs(ids)
    return (a - b).gather(-1, a.topk(3).indices).abs().max().item()


TEXTS = ["the cat sat on the mat", "  two  spaces ", "<|user|>the dog<|end|>", "Ünïcödé 🙂 日本", "1234567 \n\n x", "", "don't I'LL"]


def check_tokenizers(exporter, only):
    results = []
    cases = [("models/base", None), ("models/base", "models/adapters/topic")]
    cases += [("Tests/Fixtures/bases/texts", f"Tests/Fixtures/adapters/texts-{n}") for n in ("chat", "tool", "spare", "plain")]
    cases += [(f"Tests/Fixtures/gguf/{n}", None) for n in ()]
    for base, adapter in cases:
        out = exporter.export(base, adapter)
        theirs, wrong = AutoTokenizer.from_pretrained(out), 0
        options = ["--model", base] + (["--adapter", adapter] if adapter else [])
        for text in TEXTS:
            mine = exporter.run(*options, "--tokenize", "--prompt", text, program="dora-generate").stdout.split()
            wrong += list(map(int, mine)) != theirs(text)["input_ids"]
        size = AutoModelForCausalLM.from_pretrained(out).config.vocab_size
        wrong += len(theirs) > size
        if adapter:
            own = ROOT / adapter
            if (own / "tokenizer_config.json").exists():
                wrong += AutoTokenizer.from_pretrained(own).chat_template != theirs.chat_template
                wrong += AutoTokenizer.from_pretrained(own).eos_token != theirs.eos_token
        print(f"  {base} {adapter or ''}: {wrong} differences")
        results.append("wrong" if wrong else "right")
    return tally("tokenizers", results)


PARTS = {"gguf": check_gguf, "lora": check_lora, "golden": check_golden, "families": check_families, "made": check_made, "merge": check_merge, "tokenizers": check_tokenizers}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, default=ROOT / ".build" / os.environ.get("CONFIGURATION", "release"))
    parser.add_argument("--only", default=".", help="of golden cases and families, those that match")
    parser.add_argument("--parts", default=",".join(PARTS))
    options = parser.parse_args()
    exporter = Exporter(options.bin.resolve())
    try:
        wrong = sum(PARTS[part](exporter, options.only) for part in options.parts.split(","))
    finally:
        shutil.rmtree(exporter.work, ignore_errors=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
