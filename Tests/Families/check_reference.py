#!/usr/bin/env python3
"""Checks the yardstick itself, without dora: python3 Tests/Families/check_reference.py [--cases N] [--families REGEX]

For each family's random models: the log probabilities that reference.py gives along a text are those that
transformers' own `generate` computes with its cache (but where a text crosses the limit of a longrope in other models
than Phi-3: there transformers mixes keys of both kinds in one cache); how far they are from a computation in F64; and
which fields transformers reads otherwise from the respelled configuration than from the drawn one.
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import random

import torch

import fuzz
import models
import reference
from families import FAMILIES

IGNORED = {"dtype", "transformers_version", "_name_or_path", "use_cache", "attention_dropout", "initializer_range",
           "architectures", "_attn_implementation", "num_key_value_heads", "sliding_window_pattern",
           "_sliding_window_pattern"}


def generated(model, prompt):
    """Tokens of `generate` and the log probabilities behind the prompt and behind each of them."""
    reference.reset(model)
    ids = torch.tensor([prompt])
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=fuzz.NEW, min_new_tokens=fuzz.NEW,
        do_sample=False, output_logits=True, return_dict_in_generate=True, pad_token_id=0)
    return out.sequences[0, len(prompt):].tolist(), reference.logprobs(torch.cat(out.logits))


def crosses(model, prompt):
    kinds = reference.ropes(model)
    if "longrope" not in kinds or models.text_config(model.config).model_type == "phi3":
        return False
    limit = kinds["longrope"]["original_max_position_embeddings"]
    return len(prompt) <= limit < len(prompt) + fuzz.NEW


def changed(drawn, read):
    drawn, read = (models.text_config(config).to_dict() for config in (drawn, read))
    return {key for key in drawn.keys() | read.keys() if drawn.get(key) != read.get(key)} - IGNORED


def check(name, number):
    family = FAMILIES[name]
    folder = Path(tempfile.mkdtemp(prefix="dora-families-"))
    try:
        r, loaded, vocabulary = fuzz.prepare(family, name, number, 0, folder)
        again = random.Random(f"{name}/0/{number}")
        differing = changed(models.build(family, family.draw(again)).config, loaded[None].config)
        worst = noise = 0.0
        for model in loaded.values():
            for prompt in fuzz.prompts(r, model, vocabulary):
                if crosses(model, prompt):
                    continue
                ids, rows = generated(model, prompt)
                ours = reference.logprobs(reference.decoding(model, prompt + ids[:-1], len(prompt)))
                worst = max(worst, (rows - ours).abs().max().item())
                exact = reference.logprobs(reference.decoding(model.double(), prompt + ids[:-1], len(prompt)))
                model.float()
                noise = max(noise, (exact - ours).abs().max().item())
        return worst, noise, differing
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=5)
    parser.add_argument("--families", default="")
    options = parser.parse_args()
    failed = False
    for name in FAMILIES:
        if not re.search(options.families, name):
            continue
        worst = noise = 0.0
        differing = Counter()
        for number in range(options.cases):
            try:
                found, float_noise, fields = check(name, number)
            except Exception as error:
                print(name, number, type(error).__name__, str(error)[:300])
                failed = True
                continue
            worst, noise = max(worst, found), max(noise, float_noise)
            differing.update(fields)
        failed |= worst > FAMILIES[name].tolerance / 2
        print(f"{name:20} generate {worst:.1e}  F64 {noise:.1e}  read otherwise: {dict(differing)}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
