"""Train the base, then quantize it with bitsandbytes (LLM.int8) and save it.

usage: base.py FOLDER WORKING_FOLDER; FOLDER holds the tokenizer already.
The working folder receives the unquantized model, which isn't shipped.
"""

import math
import random
import sys
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from corpus import document

# Sequences of 192 tokens first; the last steps read 1,024, so that every
# position the configuration allows has been trained.
SCHEDULE = [(900, 16, 192), (50, 3, 1024)]
RATE, WARMUP = 3e-3, 60


def stream(tokenizer, seed):
    """Tokens of one document after the other, each between BOS and EOS."""
    rng = random.Random(seed)
    while True:
        made = [document(rng) for _ in range(500)]
        segments = [segment for segments in made for segment in segments]
        encoded = iter(tokenizer(segments, add_special_tokens=False)["input_ids"])
        for segments in made:
            yield tokenizer.bos_token_id
            for _ in segments:
                yield from next(encoded)
            yield tokenizer.eos_token_id


def batches(tokenizer, seed):
    tokens = stream(tokenizer, seed)
    for steps, rows, length in SCHEDULE:
        for _ in range(steps):
            yield torch.tensor([[next(tokens) for _ in range(length)] for _ in range(rows)])


def rate(step, total):
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (total - WARMUP)))


def train(tokenizer):
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=1024,
            rms_norm_eps=1e-5,
            rope_theta=10000.0,
            tie_word_embeddings=False,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    total = sum(steps for steps, _, _ in SCHEDULE)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=RATE, betas=(0.9, 0.95)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, total))
    start = time.time()
    for step, batch in enumerate(batches(tokenizer, seed=21)):
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 20 == 0 or step == total - 1:
            print(f"step {step} loss {loss.item():.3f} after {time.time() - start:.0f} s", flush=True)
    return model


if __name__ == "__main__":
    folder, working = sys.argv[1:3]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # bfloat16 is what a published base comes in; quantization starts from it.
    train(tokenizer).to(torch.bfloat16).save_pretrained(working)
    quantized = AutoModelForCausalLM.from_pretrained(
        working, quantization_config=BitsAndBytesConfig(load_in_8bit=True), device_map="cpu", dtype=torch.bfloat16
    )
    quantized.save_pretrained(folder)
    Path(folder, "model.safetensors").chmod(0o644)
