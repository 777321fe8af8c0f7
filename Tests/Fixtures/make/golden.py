"""Writes Tests/Fixtures/golden: what PEFT's unmerged float32 forward answers, greedily, for every case."""

import os
import re
import sys

import adapters
import cases
import common
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

NEW, TOP, CANDIDATES, GAP = 16, 5, 48, 0.03
LENGTHS = (5, 18, 40)


def reference(weights, adapter):
    """The base of a folder as a dense float32 model, with the adapter beside it, unmerged."""
    os.chdir(common.BASES)
    base = adapters.resized(common.dense_model(common.BASES / weights), adapter)
    if adapter is None:
        return base
    torch.manual_seed(0)  # rows that the adapter does not bring would be other ones than in training
    parts = cases.SUMS.get(adapter, [(adapter, 1.0)])
    model = PeftModel.from_pretrained(base, common.ADAPTERS / parts[0][0]).eval()
    if len(parts) == 1 and parts[0][1] != 1:
        for layer in model.modules():
            if isinstance(layer, LoraLayer):
                layer.set_scale("default", parts[0][1])
    if len(parts) > 1:
        for name, _ in parts:
            model.load_adapter(common.ADAPTERS / name, name)
        names, factors = zip(*parts)
        model.add_weighted_adapter(list(names), list(factors), "sum", combination_type="cat")
        model.set_adapter("sum")
    stray = {p.dtype for p in model.parameters()} - {torch.float32}
    assert not stray, stray
    return model


def greedy(model, ids):
    """Greedy continuations of a batch, recomputed from scratch each step, and all logits."""
    for _ in range(NEW):
        logits = model(input_ids=ids, use_cache=False).logits
        ids = torch.cat([ids, logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    return ids, logits


def gaps(logits, length):
    top = logits[:, length - 1 :].topk(2).values
    return (top[..., 0] - top[..., 1]).min(-1).values


def choose(model, base, weights, adapter, length):
    """A random prompt whose continuation is varied, far from ties and not the base's."""
    vocab = model.config.vocab_size
    draw = common.rng("prompts", weights, adapter, length)
    ids = torch.from_numpy(draw.integers(3, vocab, (CANDIDATES, length)))
    ids[:, 0] = 1
    out, logits = greedy(model, ids)
    gap, answers = gaps(logits, length), out[:, length:]
    good = [len(set(a.tolist())) >= 6 for a in answers]
    if base is not None:
        theirs = greedy(base, ids)[0][:, length:]
        good = [g and not torch.equal(a, t) for g, a, t in zip(good, answers, theirs)]
    best = max(range(CANDIDATES), key=lambda i: (good[i], gap[i].item() > GAP, gap[i].item()))
    assert good[best], f"no lively prompt of length {length}"
    return ids[best : best + 1]


def rounded(values):
    return [round(v, 6) for v in values.tolist()]


def record(model, ids):
    """One prompt's answer; a second computation in float64 shows how much float noise there is."""
    length = ids.shape[1]
    out, logits = greedy(model, ids)
    logprobs = logits[0].double().log_softmax(-1)
    following = logprobs.gather(-1, out[0, 1:, None])[:, 0]
    values, indices = logprobs[length - 1 :].topk(TOP)
    top = [[[i, round(v, 6)] for i, v in zip(*row)] for row in zip(indices.tolist(), values.tolist())]
    exact = model.double()(input_ids=out[:, :-1], use_cache=False).logits[0].log_softmax(-1)
    model.float()
    return {
        "prompt_ids": ids[0].tolist(),
        "greedy_ids": out[0, length:].tolist(),
        "greedy_logprobs": rounded(following[length - 1 :]),
        "prompt_logprobs": rounded(following[: length - 1]),
        "top": top,
        "min_gap": round(gaps(logits, length).item(), 4),
        "max_logit": round(logits.abs().max().item(), 2),
    }, (exact - logprobs).abs().max().item()


def answer(weights, adapter):
    model = reference(weights, adapter)
    base = None if adapter is None else adapters.resized(common.dense_model(common.BASES / weights), adapter)
    prompts, noise = zip(*(record(model, choose(model, base, weights, adapter, n)) for n in LENGTHS))
    assert max(noise) < 4e-5, f"{weights}, {adapter}: float noise {max(noise)}"
    gap = min(p["min_gap"] for p in prompts)
    assert gap > 0.01, f"{weights}, {adapter}: gap {gap}"
    return prompts, gap, max(noise)


def main(wanted):
    answers = {}
    for case in cases.all_cases():
        if wanted and not re.search(wanted, case["case"]):
            continue
        weights, source = case.pop("weights"), case.pop("source")
        if (weights, source) not in answers:
            answers[weights, source] = answer(weights, source)
        prompts, gap, noise = answers[weights, source]
        print(f"  {case['case']}: gap {gap}, noise {noise:.1e}")
        content = {**case, "tolerance": 1e-4, "prompts": prompts}
        common.write_json(common.GOLDEN / f"{case['case']}.json", content)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
