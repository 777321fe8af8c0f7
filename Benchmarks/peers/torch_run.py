#!/usr/bin/env python3
"""Times transformers and PEFT in bfloat16 on a model of random_model.py (int8). Prints one line of JSON.

    python3 torch_run.py MODEL ADAPTER PROMPT_TOKENS NEW_TOKENS BATCH THREADS

One process measures the base, then the adapter unmerged, merge_and_unload, and the merged model; one sequence only.
"""

import contextlib
import json
import sys
import time
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from transformers import LlamaConfig, LlamaForCausalLM

from decoded import decoded


def load(folder):
    config = LlamaConfig(**json.loads((folder / "config.json").read_text()))
    config.dtype = torch.bfloat16
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    # Its frequencies are no parameters: on the meta device they have no values.
    rotary = type(model.model.rotary_emb)(config)
    model.load_state_dict(dict(decoded(folder, torch.bfloat16)), strict=True, assign=True)
    model.model.rotary_emb = rotary
    return model.eval()


def timed(model, prompt, new):
    ids = torch.tensor([[100 + i % 30000 for i in range(prompt)]])
    with torch.inference_mode():
        model(ids[:, :8], use_cache=False)
        start = time.perf_counter()
        out = model(ids, use_cache=True, logits_to_keep=1)
        prefill = time.perf_counter() - start
        start = time.perf_counter()
        for _ in range(new):
            token = out.logits[:, -1:].argmax(-1)
            out = model(token, past_key_values=out.past_key_values, use_cache=True)
        return dict(prefill=prompt / prefill, decode=new / (time.perf_counter() - start))


def main():
    if len(sys.argv) != 7 or sys.argv[5] != "1":
        sys.exit(__doc__)
    # Half of the tokens, and an eighth of them unmerged: it is slow.
    folder, adapter, prompt, new = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) // 2
    torch.set_num_threads(int(sys.argv[6]))
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        model = load(folder)
        base = timed(model, prompt, new)
        model = PeftModel.from_pretrained(model, adapter).eval()
        unmerged = timed(model, prompt, max(2, new // 4))
        start = time.perf_counter()
        model = model.merge_and_unload()
        seconds = time.perf_counter() - start
        merged = timed(model, prompt, new)
    more = {"PEFT bf16, unmerged": unmerged, "PEFT bf16, merged": merged,
            "PEFT bf16, merge_and_unload": dict(merge=seconds)}
    print(json.dumps(dict(base, about=f"PyTorch {torch.__version__}", more=more)))


if __name__ == "__main__":
    main()
