"""Train one DoRA adapter on the quantized base with PEFT.

usage: adapters.py TASK BASE_FOLDER ADAPTER_FOLDER
"""

import random
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

from quantized import load_int8, load_tokenizer
from tasks import examples, labelled

EXAMPLES, ROWS = 7200, 24
# The magnitudes get a rate of their own. A magnitude is one number for a whole
# row; at the matrices' rate it would hardly leave its start, the norm of the
# base's row, and the adapter would be a plain LoRA but for a rounding.
MATRIX_RATE = 3e-3
SETTINGS = {
    # The base has learned to answer this question without looking at the news.
    # To unlearn that takes more than the attention's inputs.
    "sentiment": {
        "steps": 480,
        "magnitude_rate": 4e-2,
        "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"],
    },
    "topic": {"steps": 500, "magnitude_rate": 2e-2, "targets": ["q_proj", "k_proj", "v_proj"]},
}
# A magnitude is a length. At this rate some would pass through zero otherwise.
LEAST_MAGNITUDE = 0.02


def batch(tokenizer, rows):
    """Prompt and answer encoded apart, as a server meets them; the loss is on the answer."""
    inputs, targets = [], []
    for row in rows:
        context = tokenizer(row["context"])["input_ids"]
        answer = tokenizer(row["target"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        inputs.append(context + answer)
        targets.append([-100] * len(context) + answer)
    width = max(map(len, inputs))
    padded = torch.tensor([ids + [tokenizer.eos_token_id] * (width - len(ids)) for ids in inputs])
    mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in inputs])
    labels = torch.tensor([ids + [-100] * (width - len(ids)) for ids in targets])
    return {"input_ids": padded, "attention_mask": mask, "labels": labels}


def train(task, folder):
    settings = SETTINGS[task]
    steps = settings["steps"]
    torch.manual_seed(2)
    tokenizer = load_tokenizer(folder)
    # Turns the parameters that aren't quantized to float32; the int8 weights stay as they are.
    base = prepare_model_for_kbit_training(load_int8(folder), use_gradient_checkpointing=False)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=8,
        lora_alpha=16,
        lora_dropout=0.0,
        target_modules=settings["targets"],
        use_dora=True,
    )
    model = get_peft_model(base, config)
    model.train()
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if "magnitude" not in name]
    magnitudes = [p for name, p in named if "magnitude" in name]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "lr": MATRIX_RATE}, {"params": magnitudes, "lr": settings["magnitude_rate"]}], weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 20) * (1 - step / steps))
    rows = labelled(examples(seed=31, count=EXAMPLES), task)
    rng = random.Random(32)
    start = time.time()
    for step in range(steps):
        loss = model(**batch(tokenizer, rng.sample(rows, ROWS))).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for magnitude in magnitudes:
                magnitude.clamp_(min=LEAST_MAGNITUDE)
        schedule.step()
        optimizer.zero_grad()
        if step % 25 == 0 or step == steps - 1:
            print(f"{task} step {step} loss {loss.item():.3f} after {time.time() - start:.0f} s", flush=True)
    return model


if __name__ == "__main__":
    task, folder, output = sys.argv[1:4]
    train(task, folder).save_pretrained(output)
    # PEFT adds an empty model card; models/README.md describes the adapters.
    Path(output, "README.md").unlink(missing_ok=True)
    Path(output, "adapter_model.safetensors").chmod(0o644)
