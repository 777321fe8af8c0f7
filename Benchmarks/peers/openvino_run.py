#!/usr/bin/env python3
"""Times OpenVINO GenAI on the CPU on one model: prefill and greedy decoding of token ids. Prints one line of JSON.

    python3 openvino_run.py MODEL PROMPT_TOKENS NEW_TOKENS BATCH THREADS

With BATCH > 1, that many prompts of that length decode together; only one is prefilled alone.
"""

import json
import sys

import numpy as np
import openvino
import openvino_genai as genai


def settings(threads):
    scheduler = genai.SchedulerConfig()
    # As without one, but that it does not find a prompt again.
    scheduler.enable_prefix_caching = False
    scheduler.max_num_batched_tokens = 1 << 20
    scheduler.cache_size = 2  # GB
    return dict(INFERENCE_NUM_THREADS=threads, PERFORMANCE_HINT="LATENCY", scheduler_config=scheduler)


def timed(pipeline, rows, new):
    """Tokens/s to the first token and from there, by its own clock."""
    ids = np.array(rows, np.int64)
    inputs = genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))
    greedy = genai.GenerationConfig(max_new_tokens=new + 1, ignore_eos=True, do_sample=False)
    clock = pipeline.generate(inputs, greedy).perf_metrics
    first, whole = clock.get_ttft().mean / 1000, clock.get_generate_duration().mean / 1000
    return ids.size / first, ids.shape[0] * new / (whole - first)


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    prompt, new, batch, threads = map(int, sys.argv[2:])
    pipeline = genai.LLMPipeline(sys.argv[1], "CPU", **settings(threads))
    ids = [100 + i % 30000 for i in range(prompt)]
    timed(pipeline, [ids[:512][::-1]] * batch, 4)  # pages in the weights, and makes its kernels
    prefill, decode = timed(pipeline, [ids] * batch, new)
    if batch > 1:
        prefill, _ = timed(pipeline, [ids], 1)
    version = genai.__version__.split("-")[0]
    print(json.dumps(dict(prefill=prefill, decode=decode, about=f"OpenVINO GenAI {version}, its keys and values 8-bit")))


if __name__ == "__main__":
    main()
