#!/usr/bin/env python3
"""Times vLLM on the CPU on one model: prefill and greedy decoding of token ids. Prints one line of JSON.

    python3 vllm_run.py MODEL PROMPT_TOKENS NEW_TOKENS BATCH THREADS

With BATCH > 1, that many requests with prompts of that length decode together; only one request is prefilled alone.
"""

import contextlib
import ctypes.util
import json
import os
import sys
import time
from pathlib import Path


def prepare(threads):
    """What its manual asks for and its workers have, for this one process: it must all be there from the start."""
    libraries = [str(Path(sys.prefix) / "lib/libiomp5.so"), ctypes.util.find_library("tcmalloc_minimal")]
    preloaded = ":".join(library for library in libraries if library)
    if os.environ.get("LD_PRELOAD") == preloaded:
        return
    if not all(libraries):
        print("vLLM wants libtcmalloc_minimal (Debian: libtcmalloc-minimal4); it runs without", file=sys.stderr)
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
    os.environ.update(
        LD_PRELOAD=preloaded, OMP_NUM_THREADS=str(threads), VLLM_CPU_OMP_THREADS_BIND=cores,
        KMP_AFFINITY=f"granularity=fine,explicit,proclist=[{cores}]", VLLM_CPU_KVCACHE_SPACE="2",
        # Its scheduler in a process of its own would wait on a core that the worker needs.
        VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="ERROR", VLLM_NO_USAGE_STATS="1")
    os.execv(sys.executable, [sys.executable, *sys.argv])


def timed(engine, prompts, new, parameters):
    """Seconds to the first token of all, and from there to the last."""
    start = time.perf_counter()
    for index, ids in enumerate(prompts):
        engine.add_request(f"{start}-{index}", dict(prompt_token_ids=ids), parameters(new + 1))
    lengths = {}
    while len(lengths) < len(prompts):
        lengths.update((output.request_id, len(output.outputs[0].token_ids)) for output in engine.step())
    first, done = time.perf_counter(), sum(lengths.values())
    while engine.has_unfinished_requests():
        lengths.update((output.request_id, len(output.outputs[0].token_ids)) for output in engine.step())
    return first - start, (time.perf_counter() - first) / max(1, sum(lengths.values()) - done)


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    prompt, new, batch, threads = map(int, sys.argv[2:])
    prepare(threads)
    with contextlib.redirect_stdout(sys.stderr):
        import vllm

        model = vllm.LLM(
            sys.argv[1], skip_tokenizer_init=True, enable_prefix_caching=False, max_model_len=prompt + new + 64,
            max_num_seqs=batch, max_num_batched_tokens=max(2048, prompt), disable_log_stats=True)

        def parameters(tokens):
            return vllm.SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False)

        ids = [100 + i % 30000 for i in range(prompt)]
        timed(model.llm_engine, [ids[:16]] * batch, 4, parameters)  # pages in the weights
        prefill, _ = timed(model.llm_engine, [ids], 0, parameters)
        _, token = timed(model.llm_engine, [ids] * batch, new, parameters)
    print(json.dumps(dict(prefill=prompt / prefill, decode=1 / token, about=f"vLLM {vllm.__version__}, its head BF16")))


if __name__ == "__main__":
    main()
