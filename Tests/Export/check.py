"""Exports beside transformers, PEFT and llama.cpp: make check-export PYTHON=…

    python3 Tests/Export/check.py [--bin .build/release] [--only REGEX] [--parts golden,families,merge,tokenizers]

- golden, families: every golden case, exported in F32 in small shards and loaded by transformers, has the log
  probabilities that PEFT's forward had when the fixture was made (1e-4).
- merge: the demo adapters, on the LLM.int8 base and on it as NF4, against PEFT's `merge_and_unload` on what bitsandbytes'
  codes stand for.
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

logging.set_verbosity(50)
logging.disable_progress_bar()
torch.set_num_threads(2)
torch.set_grad_enabled(False)
FIXTURES = ROOT / "Tests/Fixtures"
TOLERANCE = 1e-4
# What transformers itself computes otherwise from one step of decoding to the next; ours is compared elsewhere.
STEPPED = ("dynamic", "longrope")


class Exporter:
    def __init__(self, folder):
        self.folder = folder
        self.work = Path(tempfile.mkdtemp(prefix="dora-export-"))

    def run(self, *words, program="dora-export"):
        return subprocess.run([self.folder / program, *map(str, words)], capture_output=True, text=True, cwd=ROOT)

    def export(self, base, adapter, *options):
        """The folder or file that was written, or the line that refused it."""
        out = self.work / "out"
        shutil.rmtree(out, ignore_errors=True)
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
        ids = prompt["prompt_ids"] + prompt["greedy_ids"]
        rows = logprobs(model, ids)
        found = rows[:-1].gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
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
        if not re.search(only, folder.name) or folder.name.endswith(STEPPED):
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


PARTS = {"golden": check_golden, "families": check_families, "merge": check_merge, "tokenizers": check_tokenizers}


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
