#!/usr/bin/env python3
"""Random tiny models of every dense family: dora's F32 path beside transformers and PEFT.

    python3 Tests/Families/fuzz.py                        # 100 models of each family, about half an hour
    python3 Tests/Families/fuzz.py --families 'gemma' --cases 20
    python3 Tests/Families/fuzz.py --families '^phi3$' --only 17 --keep /tmp/phi3

Each case draws a configuration, writes it in a random spelling and type, and two adapters with PEFT; then asks one
dora-serve for greedy texts and scores of the base and of both. Prompts end around windows and the lengths at which a
rope changes. The reference is what transformers loads from the same files, in F32, along the text that dora made: at
each step its likeliest token must be dora's. A case fails if a token differs, unless two are as likely, if a log
probability deviates by more than the tolerance, or if a model is refused. Needs what
Tests/Fixtures/make/requirements.txt lists.
"""

import argparse
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
# Threads that wait should sleep: the machine may be shared.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

NEW, TOP = 8, 5
# transformers' own rounding grows with the logits: check_reference.py shows it to be half the tolerance already. It also
# grows with attention's scores (granite's multiplier lets them span 100), which no logit shows: there the tolerance is
# what transformers in F32 deviates from itself in F64, so many times, but no more than with large logits.
LOUD, LOUD_TOLERANCE, ROUNDINGS = 16, 5e-4, 4
BIN = HERE.parent.parent / ".build/release"


@dataclass
class Outcome:
    family: str
    number: int
    worst: float = 0.0
    largest: float = 0.0
    ties: int = 0
    problems: list = field(default_factory=list)
    refused: str | None = None


def lengths(r, limits, longest):
    """Prompts' lengths: around a limit, at it, one or two lengths beyond it, or any."""
    def one():
        if limits and r.random() < 0.7:
            limit = r.choice(limits)
            return r.choice((limit - NEW // 2, limit - 1, limit, limit + 1, 2 * limit + 3, limit + 30))
        return r.randint(1, 70)
    return [max(1, min(one(), longest)) for _ in range(3)]


def prompts(r, model, vocabulary):
    import models
    import ropes

    text = models.text_config(model.config)
    limits = ropes.positions(text)
    if window := getattr(text, "sliding_window", None):
        limits = limits + [window]
    # The ids beyond may stand for images.
    longest = min(120, ropes.context(text) - NEW)
    return [[r.randint(3, vocabulary - 6) for _ in range(n)] for n in lengths(r, limits, longest)]


def stretched(tolerance, model, logits, compute):
    """The tolerance of log probabilities of `logits`, which `compute` gives."""
    import reference

    if logits.abs().max() > LOUD:
        return LOUD_TOLERANCE
    model.double()
    exact = compute()
    model.float()
    rounding = (reference.logprobs(logits) - reference.logprobs(exact)).abs().max().item()
    return max(tolerance, min(ROUNDINGS * rounding, LOUD_TOLERANCE))


def compare_generated(outcome, name, model, prompt, reply, tolerance):
    import reference

    ids = reply["token_ids"]
    if len(ids) != NEW:
        outcome.problems.append(f"{name}: {len(ids)} tokens in place of {NEW}")
        return
    def compute():
        return reference.decoding(model, prompt + ids[:-1], len(prompt))

    logits = compute()
    rows = reference.logprobs(logits)
    outcome.largest = max(outcome.largest, logits.abs().max().item())
    tolerance = stretched(tolerance, model, logits, compute)
    for step, (token, row, entry) in enumerate(zip(ids, rows, reply["logprobs"], strict=True)):
        best = row.argmax().item()
        if best != token:
            if row[best] - row[token] > 2 * tolerance:
                outcome.problems.append(f"{name}, prompt of {len(prompt)}: token {token} in place of {best} at step {step}")
                outcome.worst = max(outcome.worst, abs(entry["logprob"] - row[token].item()))
                return
            outcome.ties += 1
        check(outcome, f"{name}, prompt of {len(prompt)}, step {step}", row,
              [(token, entry["logprob"]), *entry["top"]], tolerance)


def compare_scored(outcome, name, model, prompt, reply, tolerance):
    import reference

    def compute():
        return reference.whole(model, prompt)[:-1]

    logits = compute()
    tolerance = stretched(tolerance, model, logits, compute)
    rows = reference.logprobs(logits)
    for position, (token, row, entry) in enumerate(zip(prompt[1:], rows, reply["logprobs"], strict=True)):
        check(outcome, f"{name}, score of {len(prompt)} at {position + 1}", row, [(token, entry["logprob"])], tolerance)


def check(outcome, name, row, found, tolerance):
    error = max(abs(row[token].item() - value) for token, value in found)
    outcome.worst = max(outcome.worst, error)
    if not error <= tolerance and not any(name.split(",")[0] in problem for problem in outcome.problems):
        outcome.problems.append(f"{name}: log probability off by {error:.1e}")


def prepare(family, name, number, seed, folder):
    """The model and its adapters on disk, and as transformers and PEFT load them; the random generator goes on."""
    import torch

    import models
    import random_adapters

    r = random.Random(f"{name}/{seed}/{number}")
    config = family.draw(r)
    model = models.build(family, config)
    models.fill(model, family, r.randrange(2**31))
    dtype = r.choice((torch.float32, torch.bfloat16, torch.bfloat16, torch.float16))
    models.save(model, family, folder / "base", dtype, r)
    base = models.load(family, folder / "base")
    loaded = {None: base}
    for adapter in ("one", "two"):
        settings = random_adapters.options(r, base)
        random_adapters.save(base, folder / "adapters" / adapter, settings, r.randrange(2**31))
        loaded[adapter] = random_adapters.load(base, folder / "adapters" / adapter)
    return r, loaded, config["vocab_size"]


def run(task):
    from families import FAMILIES
    from server import EXACT, Refused, Server

    name, number, options = task
    family, outcome = FAMILIES[name], Outcome(name, number)
    folder = Path(tempfile.mkdtemp(prefix="dora-families-"))
    try:
        r, loaded, vocabulary = prepare(family, name, number, options.seed, folder)
        asked, requests = [], []
        for adapter, model in loaded.items():
            for prompt in prompts(r, model, vocabulary):
                asked.append((adapter, prompt, "generate"))
                requests.append(dict(token_ids=prompt, adapter=adapter, no_special=True, ignore_eos=True,
                                     max_tokens=NEW, logprobs=TOP))
            if len(prompt) > 1:
                asked.append((adapter, prompt, "score"))
                requests.append(dict(token_ids=prompt, adapter=adapter, no_special=True, score=True))
        if options.reference_only:
            replies = None
        else:
            bounds = ("--memory", "256MiB", "--kv-memory", "64MiB")
            with Server(options.bin / "dora-serve", folder / "base", folder / "adapters", *EXACT, *bounds) as server:
                replies = server.ask(requests)
        for (adapter, prompt, kind), reply in zip(asked, replies or []):
            title = adapter or "base"
            if "error" in reply:
                outcome.problems.append(f"{title}: {reply['error']['message']}")
            elif kind == "generate":
                compare_generated(outcome, title, loaded[adapter], prompt, reply, family.tolerance)
            else:
                compare_scored(outcome, title, loaded[adapter], prompt, reply, family.tolerance)
    except Refused as refused:
        outcome.refused = str(refused)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        outcome.problems.append(f"{type(error).__name__} in {Path(at.filename).name}, {at.name}: {error}")
    if options.keep:
        shutil.copytree(folder, options.keep / f"{name}-{number}", dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100, help="models of each family (%(default)s)")
    parser.add_argument("--families", default="", help="regular expression of their names")
    parser.add_argument("--only", type=int, help="the case of this number alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--bin", type=lambda path: Path(path).resolve(), default=BIN,
                        help="folder of this project's programs (%(default)s)")
    parser.add_argument("--keep", type=Path, help="folder to copy the models of all cases to")
    parser.add_argument("--show", type=int, default=3, help="problems of a family to print (%(default)s)")
    parser.add_argument("--reference-only", action="store_true", help="draw, save and load models; ask dora nothing")
    return parser.parse_args()


def main():
    from families import FAMILIES
    from server import program

    options = parsed()
    if not options.reference_only:
        program(options.bin, "dora-serve")
    numbers = [options.only] if options.only is not None else range(options.cases)
    names = [name for name in FAMILIES if re.search(options.families, name)]
    tasks = [(name, number, options) for name in names for number in numbers]
    failed, began = 0, time.time()
    print(f"| {'family':20} | cases | failed | refused | worst | largest logit | ties |")
    print(f"|{'-' * 22}|------:|-------:|--------:|------:|--------------:|-----:|", flush=True)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        found = []
        for outcome in pool.imap(run, tasks, chunksize=1):
            found.append(outcome)
            if len(found) == len(numbers):
                failed += report(found, options.show)
                found = []
    print(f"\n{len(tasks)} models, {failed} failed or refused, {time.time() - began:.0f} s")
    sys.exit(1 if failed else 0)


def report(outcomes, show):
    """Prints a family's row, and the first of its problems; returns how many cases went wrong."""
    wrong = [o for o in outcomes if o.problems]
    refused = [o for o in outcomes if o.refused]
    print(f"| {outcomes[0].family:20} | {len(outcomes)} | {len(wrong)} | {len(refused)} "
          f"| {max(o.worst for o in outcomes):.1e} | {max(o.largest for o in outcomes):.0f} "
          f"| {sum(o.ties for o in outcomes)} |", flush=True)
    for outcome in (wrong + refused)[:show]:
        for problem in (outcome.problems or [outcome.refused])[:2]:
            print(f"  case {outcome.number}: {problem}"[:400], file=sys.stderr, flush=True)
    return len({o.number for o in wrong + refused})


if __name__ == "__main__":
    main()
