#!/usr/bin/env python3
"""Times transformers and PEFT in bfloat16 on a model of random_model.py (int8). Prints one line of JSON.

    python3 torch_run.py MODEL ADAPTER PROMPT_TOKENS NEW_TOKENS [THREADS]

One process measures the base, then the adapter unmerged, merge_and_unload, and the merged model.
"""

import contextlib
import json
import sys
import time
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM


def load(folder):
    config = LlamaConfig(**json.loads((folder / "config.json").read_text()))
    config.dtype = torch.bfloat16
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    state = {}
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
        for name in names:
            if name.endswith(".SCB"):
                continue
            tensor, maxima = file.get_tensor(name), name.removesuffix("weight") + "SCB"
            if maxima in names:
                tensor = tensor.float() * (file.get_tensor(maxima)[:, None] / 127)
            state[name] = tensor.to(torch.bfloat16)
    # Its frequencies are no parameters: on the meta device they have no values.
    rotary = type(model.model.rotary_emb)(config)
    model.load_state_dict(state, strict=True, assign=True)
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
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    folder, adapter, prompt, new = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(int(sys.argv[5]) if len(sys.argv) == 6 else 2)
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        model = load(folder)
        result = dict(torch=torch.__version__, base=timed(model, prompt, new))
        model = PeftModel.from_pretrained(model, adapter).eval()
        result["unmerged"] = timed(model, prompt, max(2, new // 4))
        start = time.perf_counter()
        model = model.merge_and_unload()
        result["merge_seconds"] = time.perf_counter() - start
        result["merged"] = timed(model, prompt, new)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
