"""Measure the base and the adapters on the held-out data.

usage: evaluate.py MODELS_FOLDER

Every answer is decoded greedily, up to the end-of-text token or 24 tokens. An
answer counts if it equals the target, the end-of-text token included.
"""

import json
import math
import sys
from collections import Counter
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file

from quantized import load_decoded, load_int8, load_tokenizer
from tasks import TASKS


def with_adapter(base, folder):
    return PeftModel.from_pretrained(base, folder).eval()


def without_magnitudes(base, folder):
    """The same adapter read as a plain LoRA, W = V + sBA."""
    config = LoraConfig.from_pretrained(folder)
    config.use_dora = False
    config.inference_mode = True
    model = get_peft_model(base, config)
    tensors = load_file(Path(folder, "adapter_model.safetensors"))
    matrices = {name: value for name, value in tensors.items() if "magnitude" not in name}
    missed = set_peft_model_state_dict(model, matrices)
    assert not missed.unexpected_keys
    return model.eval()


@torch.no_grad()
def answers(model, tokenizer, rows):
    """Rows of equal length share a batch, so that nothing has to be padded."""
    made = [None] * len(rows)
    groups = {}
    for index, row in enumerate(rows):
        context = tokenizer(row["context"])["input_ids"]
        groups.setdefault(len(context), []).append((index, context))
    for length, members in groups.items():
        ids = torch.tensor([context for _, context in members])
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=24,
            pad_token_id=tokenizer.eos_token_id,
        )
        for (index, _), row in zip(members, output[:, length:].tolist()):
            end = row.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in row else None
            made[index] = tokenizer.decode(row[:end]) + ("" if end is not None else " ...")
    return made


def accuracy(made, rows):
    return 100 * sum(a == row["target"] for a, row in zip(made, rows)) / len(rows)


def changed(left, right):
    return 100 * sum(a != b for a, b in zip(left, right)) / len(left)


@torch.no_grad()
def general(model, tokenizer, text):
    """Mean entropy and mean loss a token, in nats, each paragraph by itself."""
    entropy, loss, count = 0.0, 0.0, 0
    for paragraph in text.strip().split("\n\n"):
        ids = torch.tensor([tokenizer(paragraph)["input_ids"] + [tokenizer.eos_token_id]])
        logs = torch.log_softmax(model(input_ids=ids).logits[0, :-1].float(), dim=-1)
        entropy += -(logs.exp() * logs).sum().item()
        loss += -logs.gather(1, ids[0, 1:, None]).sum().item()
        count += ids.shape[1] - 1
    return count, entropy / count, loss / count


def magnitudes(model):
    """How far m has moved from the norm of the row it scales: mean and largest |m / norm - 1|."""
    ratios = []
    for module in model.modules():
        if getattr(module, "lora_magnitude_vector", None):
            merged = module.get_base_layer().weight + module.get_delta_weight("default")
            m = module.lora_magnitude_vector["default"].weight
            ratios.append(m / merged.norm(dim=1))
    ratios = torch.cat(ratios).detach()
    away = (ratios - 1).abs()
    return f"mean {away.mean():.2f}, largest {away.max():.2f}, least m / norm {ratios.min():.2f}"


def report(folder):
    tokenizer = load_tokenizer(folder / "base")
    data = folder / "evaluation"
    rows = {t: [json.loads(line) for line in (data / f"{t}.jsonl").read_text().splitlines()] for t in TASKS}
    adapters = {t: folder / "adapters" / t for t in TASKS}

    base = load_decoded(folder / "base").eval()
    count, entropy, loss = general(base, tokenizer, (data / "general.txt").read_text())
    print(f"general text: {count} tokens, entropy {entropy:.2f} nats, loss {loss:.2f} nats, perplexity {math.exp(loss):.2f}")
    plain = answers(base, tokenizer, rows[TASKS[0]])
    print("base answers:", Counter(plain).most_common(6))
    shown = {"base": plain}
    for task in TASKS:
        print(f"\n{task}, {len(rows[task])} held-out lines, weights decoded to float32")
        print(f"  base alone:         {accuracy(plain, rows[task]):.1f} %")
        model = with_adapter(load_decoded(folder / "base"), adapters[task])
        shown[task] = answers(model, tokenizer, rows[task])
        print(f"  adapter:            {accuracy(shown[task], rows[task]):.1f} %")
        bare = answers(without_magnitudes(load_decoded(folder / "base"), adapters[task]), tokenizer, rows[task])
        lost = changed(shown[task], bare)
        print(f"  magnitudes ignored: {accuracy(bare, rows[task]):.1f} %, {lost:.1f} % of the outputs change")
        print(f"  |m / norm - 1|: {magnitudes(model)}")
        small = answers(with_adapter(load_int8(folder / "base"), adapters[task]), tokenizer, rows[task])
        differ = changed(shown[task], small)
        print(f"  adapter in bitsandbytes' int8 arithmetic: {accuracy(small, rows[task]):.1f} %, {differ:.1f} % differ")
    print()
    print(f"the two adapters differ on {changed(shown[TASKS[0]], shown[TASKS[1]]):.1f} % of the prompts")
    # The first prompt that gets three different answers.
    index = next((i for i in range(len(plain)) if len({made[i] for made in shown.values()}) == 3), 0)
    print(rows[TASKS[0]][index]["context"])
    for name, made in shown.items():
        print(f"  {name}: {made[index]}")


if __name__ == "__main__":
    report(Path(sys.argv[1]))
