"""Trains the two adapters: one for the task, on the 8-bit base, and one that has hardly begun, on the 16-bit base."""

import json
import random
import sys
import time

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from adapters import batch  # of models/train, as are the examples
from tasks import examples, labelled

ROWS = 8
RATE, MAGNITUDE_RATE = 1e-3, 1e-2
LIGHT_RATE, LIGHT_STEPS = 1e-4, 5
EXAMPLES, HELD_OUT = 2400, 60


def rows(data):
    """Examples to train with, and held-out ones: generated, or the user's, whose last tenth is held out."""
    if data is None:
        return (labelled(examples(seed=31, count=EXAMPLES), "sentiment"),
                labelled(examples(seed=42, count=HELD_OUT, held_out=True), "sentiment"))
    given = [json.loads(line) for line in data.read_text().splitlines() if line.strip()]
    if len(given) < 20 or not all({"context", "target"} <= row.keys() for row in given):
        sys.exit(f"{data}: at least 20 lines with context and target are needed")
    held_out = min(HELD_OUT, len(given) // 10)
    return given[:-held_out], given[-held_out:]


def adapted(base):
    settings = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.0,
                          target_modules=["q_proj", "k_proj", "v_proj"], use_dora=True)
    return get_peft_model(base, settings)


def run(model, tokenizer, examples, steps, rates, warm_up):
    """AdamW with a linear decay; the magnitudes have a rate of their own (models/train/adapters.py says why)."""
    model.train()
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    groups = [{"params": [w for name, w in named if ("magnitude" in name) == second], "lr": rate}
              for second, rate in enumerate(rates)]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm_up) * (1 - step / steps) if warm_up else 1.0)
    rng, start = random.Random(32), time.time()
    for step in range(steps):
        loss = model(**batch(tokenizer, rng.sample(examples, min(ROWS, len(examples))))).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([weight for _, weight in named], 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 20 == 0 or step == steps - 1:
            print(f"  step {step}: loss {loss.item():.3f} after {time.time() - start:.0f} s", file=sys.stderr)


def saved(model, folder):
    partial = folder.with_name(folder.name + ".partial")
    model.save_pretrained(partial)
    (partial / "README.md").unlink(missing_ok=True)
    partial.rename(folder)


def adapters(work, checkpoint, examples, steps, tag):
    """The folders of the two adapters; what an earlier run with the same data and steps has trained is kept."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    task, light = work / f"task-{tag}", work / f"light-{tag}"
    if not task.exists():
        print(f"training {steps} steps on the 8-bit base", file=sys.stderr)
        torch.manual_seed(2)
        base = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, device_map="cpu",
                                                    quantization_config=BitsAndBytesConfig(load_in_8bit=True))
        model = adapted(prepare_model_for_kbit_training(base, use_gradient_checkpointing=False))
        run(model, tokenizer, examples, steps, (RATE, MAGNITUDE_RATE), warm_up=10)
        saved(model, task)
    if not light.exists():
        print(f"training {LIGHT_STEPS} steps on the 16-bit base", file=sys.stderr)
        torch.manual_seed(2)
        model = adapted(AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32))
        run(model, tokenizer, examples, LIGHT_STEPS, (LIGHT_RATE, LIGHT_RATE), warm_up=0)
        saved(model, light)
    return {"task": task, "light": light}
