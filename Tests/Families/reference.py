"""What transformers and PEFT answer: log probabilities along a text, step by step where the rope depends on its length.

A step of decoding sees keys that were rotated when they were computed. With most ropes that is the same as computing
the whole text anew; two are not so:

- dynamic: from `max_position_embeddings` on, each length has its own base. Cached keys stay as they are. transformers
  keeps the base in the model, from one text to the next; here each text begins with a fresh one.
- longrope: the factors follow from the length of the step, for all its positions. Where a text crosses the limit, all
  its keys are computed anew, as transformers does in Phi-3.
"""

import torch

import models


def ropes(model):
    """The kinds of rope that the text part has, and its rotary modules."""
    config = models.text_config(model.config)
    found = config.rope_parameters
    tables = [value for value in found.values() if isinstance(value, dict)] or [found]
    return {table.get("rope_type"): table for table in tables if not table.get("alpha")}


def reset(model):
    """Forgets the longest text that a dynamic rope has seen."""
    for module in model.modules():
        if hasattr(module, "max_seq_len_cached") and hasattr(module, "original_inv_freq"):
            module.max_seq_len_cached = module.original_max_seq_len
            module.inv_freq.data = module.original_inv_freq.clone()


def whole(model, ids):
    """[position, token]: logits of one pass over all ids."""
    reset(model)
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def stepped(model, ids, prompt):
    """The same of the positions from the prompt's last on, each computed by a step of its own behind a cache."""
    reset(model)
    out = model(input_ids=torch.tensor([ids[:prompt]]), use_cache=True)
    rows = [out.logits[0, -1]]
    for position in range(prompt, len(ids)):
        out = model(
            input_ids=torch.tensor([ids[position : position + 1]]), past_key_values=out.past_key_values, use_cache=True,
            position_ids=torch.tensor([[position]]))
        rows.append(out.logits[0, -1])
    return torch.stack(rows)


def decoding(model, ids, prompt):
    """Logits behind each of ids[prompt - 1:], as greedy decoding computes them after a prompt of that many ids."""
    kinds = ropes(model)
    if "dynamic" in kinds and len(ids) > models.text_config(model.config).max_position_embeddings:
        return stepped(model, ids, prompt)
    if "longrope" in kinds:
        limit = kinds["longrope"]["original_max_position_embeddings"]
        short = max(0, min(limit, len(ids)) - (prompt - 1))
        parts = [whole(model, ids[:limit])[prompt - 1 :]] if short else []
        if short < len(ids) - prompt + 1:
            parts.append(whole(model, ids)[prompt - 1 + short :])
        return torch.cat(parts)
    return whole(model, ids)[prompt - 1 :]


def logprobs(logits):
    return logits.double().log_softmax(-1)
