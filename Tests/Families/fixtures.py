#!/usr/bin/env python3
"""Writes Tests/Fixtures/families: python3 Tests/Families/fixtures.py [REGEX]

    <fixture>/base/          a tiny model, BF16 or F16
    <fixture>/base-<form>/   the same as bitsandbytes stores it, for some
    <fixture>/dora/          DoRA of rank 2 on every linear layer (all-linear)
    <fixture>/lora/          rank-stabilized LoRA of rank 2 on a few
    <fixture>/golden.json    {"cases": [...]}, each as Tests/Fixtures/make/README.md describes it; `base` and `adapter`
                             are paths from Tests/Fixtures/families

The reference is reference.py's: transformers' forward of the very files in F32 with PEFT's adapter unmerged on top;
quantized linear layers are decoded by Tests/Fixtures/make/decode.py first. Prompts have 13 and 40 ids, answers 8.
"""

import json
import random
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "Fixtures/make")]
warnings.simplefilter("ignore")

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import BitsAndBytesConfig

import bases
import decode
import models
import random_adapters
import reference
import spelling
from families import FAMILIES
from fixture_configs import CONFIGS, LOADED, STORED

FIXTURES = HERE.parent / "Fixtures/families"
LENGTHS, NEW, TOP, TRIES, GAP, NOISE, TOLERANCE = (13, 40), 8, 3, 40, 0.03, 4e-5, 1e-4


def write_json(path, value, **style):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, **style) + "\n")


def write_base(name, family, config, words, folder):
    model = models.build(family, config)
    models.fill(model, family, len(name) * 1000 + sum(map(ord, name)))
    dtype = torch.float16 if len(name) % 2 else torch.bfloat16
    models.save(model, family, folder, dtype)
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    if words == "v4":
        r, text = random.Random(name), saved.get("text_config", saved)
        text = spelling.version4(spelling.without_layer_types(text, type(models.text_config(model.config))), r)
        saved = saved | dict(text_config=text) if "text_config" in saved else text
    write_json(path, saved, indent=2)
    (folder / "generation_config.json").unlink(missing_ok=True)


def quantized(family, folder, form, into=None):
    """The base in F32 with its linear layers as bitsandbytes stores and decode.py decodes them."""
    settings = BitsAndBytesConfig(**bases.MODES[form])
    stored = getattr(transformers, family.model).from_pretrained(
        folder, quantization_config=settings, dtype="auto", device_map={"": "cpu"}, attn_implementation="eager")
    if into:
        stored.save_pretrained(into)
        (into / "generation_config.json").unlink(missing_ok=True)
    model = models.load(family, folder)
    decoded = decode.all_linears(stored.state_dict())
    assert decoded
    for module, weight in decoded.items():
        model.get_parameter(f"{module}.weight").copy_(torch.from_numpy(weight))
    return model


def write_adapter(base, folder, settings, seed):
    base.name_or_path = "base"
    random_adapters.save(base, folder, settings, seed)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["target_modules"] = sorted(config["target_modules"])
    write_json(path, config, indent=2)
    file = folder / "adapter_model.safetensors"
    save_file({key: value.half() for key, value in load_file(file).items()}, file, metadata={"format": "pt"})


def few(base):
    """A few of the linear layers, the fused ones among them."""
    names = random_adapters.leaves(base)
    wanted = [name for name in names if name in ("q_proj", "v_proj", "qkv_proj", "gate_up_proj", "c_proj", "fc2")]
    return wanted or names[:2]


def greedy(model, prompt):
    tokens = []
    for _ in range(NEW):
        rows = reference.decoding(model, prompt + tokens, len(prompt))
        tokens.append(rows[-1].argmax().item())
    return tokens


def rounded(values):
    return [round(value, 6) for value in values]


def answer(model, name, length, others):
    """A prompt whose continuation is varied, far from ties and not that of `others`; and what the model says to it."""
    r = random.Random(f"{name}/{length}")
    best = None
    for _ in range(TRIES):
        prompt = [1] + [r.randint(3, 41) for _ in range(length - 1)]
        tokens = greedy(model, prompt)
        logits = reference.decoding(model, prompt + tokens[:-1], length)
        two = logits.topk(2).values
        gap = (two[:, 0] - two[:, 1]).min().item()
        better = len(set(tokens)) >= 3 and (best is None or gap > best[0])
        if better and not any(greedy(other, prompt) == tokens for other in others):
            best = gap, prompt, tokens, logits
            if gap > GAP:
                break
    assert best and best[0] > 0.01, f"{name}: no lively prompt of {length} ids"
    gap, prompt, tokens, logits = best
    rows = reference.logprobs(logits)
    scores = reference.logprobs(reference.whole(model, prompt))
    exact = reference.logprobs(reference.decoding(model.double(), prompt + tokens[:-1], length))
    model.float()
    noise = (exact - rows).abs().max().item()
    assert noise < NOISE, f"{name}: float noise {noise}"
    values, indices = rows.topk(TOP)
    return dict(
        prompt_ids=prompt, greedy_ids=tokens,
        greedy_logprobs=rounded(rows[step, token].item() for step, token in enumerate(tokens)),
        prompt_logprobs=rounded(scores[i, token].item() for i, token in enumerate(prompt[1:])),
        top=[[[i, round(v, 6)] for i, v in zip(*row)] for row in zip(indices.tolist(), values.tolist())],
        min_gap=round(gap, 4), max_logit=round(logits.abs().max().item(), 2)), noise


def write(name):
    kind, config, words = CONFIGS[name]
    family, folder = FAMILIES[kind], FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    write_base(name, family, config, words, folder / "base")
    plain = models.load(family, folder / "base")
    settings = dict(
        dora=dict(r=2, lora_alpha=4, use_dora=True, target_modules="all-linear"),
        lora=dict(r=2, lora_alpha=2, use_rslora=True, target_modules=few(plain)))
    for seed, (adapter, options) in enumerate(settings.items()):
        write_adapter(plain, folder / adapter, options, seed + 1)
    cases, worst = [], 0.0

    def add(base, adapter, quantize, model, others=()):
        nonlocal worst
        label = f"{name}{base.removeprefix('base')}" + (f"-as-{quantize}" if quantize else "") + (
            f"--{adapter}" if adapter else "")
        prompts, noise = zip(*(answer(model, label, length, others) for length in LENGTHS))
        worst = max(worst, *noise)
        cases.append(dict(
            case=label, base=f"{name}/{base}", adapter=adapter and f"{name}/{adapter}", quantize=quantize,
            tolerance=TOLERANCE, prompts=prompts))

    add("base", None, None, plain)
    for adapter in settings:
        add("base", adapter, None, random_adapters.load(plain, folder / adapter), [plain])
    for form in LOADED:
        model = quantized(family, folder / "base", form)
        add("base", "dora", form, random_adapters.load(model, folder / "dora"), [model])
    if form := STORED.get(name):
        model = quantized(family, folder / "base", form, folder / f"base-{form}")
        add(f"base-{form}", None, None, model)
        add(f"base-{form}", "dora", None, random_adapters.load(model, folder / "dora"), [model])
    write_json(folder / "golden.json", dict(cases=cases), separators=(",", ":"))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"  {name}: {len(cases)} cases, noise {worst:.1e}, {size // 1024} KB", flush=True)


def main(wanted):
    failed = False
    for name in CONFIGS:
        if not wanted or re.search(wanted, name):
            try:
                write(name)
            except AssertionError as error:
                print(f"  {name}: {error}", flush=True)
                failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
