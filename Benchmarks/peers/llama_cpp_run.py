#!/usr/bin/env python3
"""Times llama.cpp on one model: prefill and greedy decoding of token ids. Prints one line of JSON.

    python3 llama_cpp_run.py MODEL.gguf PROMPT_TOKENS NEW_TOKENS [BATCH [THREADS]]

With BATCH > 1, that many sequences share the prompt and decode together.
"""

import ctypes
import json
import sys
import time

import llama_cpp as ll


def decode(context, rows, last_only):
    """rows: (token, position, sequence)."""
    batch = ll.llama_batch_init(len(rows), 0, 1)
    batch.n_tokens = len(rows)
    for index, (token, position, sequence) in enumerate(rows):
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = sequence
        batch.logits[index] = not last_only or index == len(rows) - 1
    status = ll.llama_decode(context, batch)
    ll.llama_batch_free(batch)
    if status != 0:
        sys.exit(f"llama_decode: {status}")


def main():
    if len(sys.argv) not in (4, 5, 6):
        sys.exit(__doc__)
    path, prompt, new = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    batch = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    threads = int(sys.argv[5]) if len(sys.argv) > 5 else 2
    silent = ll.llama_log_callback(lambda level, text, data: None)
    ll.llama_log_set(silent, ctypes.c_void_p(0))
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
    settings = ll.llama_context_default_params()
    settings.n_ctx = (prompt + new) * batch + 64
    settings.n_batch = settings.n_ubatch = 512
    settings.n_threads = settings.n_threads_batch = threads
    settings.n_seq_max = batch
    settings.kv_unified = True
    context = ll.llama_init_from_model(model, settings)
    ids = [100 + i % 30000 for i in range(prompt)]
    decode(context, [(ids[0], 0, 0)], True)  # pages in the weights
    memory = ll.llama_get_memory(context)
    ll.llama_memory_clear(memory, True)

    start = time.perf_counter()
    for first in range(0, prompt, 512):
        decode(context, [(ids[i], i, 0) for i in range(first, min(first + 512, prompt))], True)
    ll.llama_get_logits_ith(context, -1)
    prefill = time.perf_counter() - start
    for sequence in range(1, batch):
        ll.llama_memory_seq_cp(memory, 0, sequence, -1, -1)
    start = time.perf_counter()
    tokens = [7 + s for s in range(batch)]
    for step in range(new):
        decode(context, [(tokens[s], prompt + step, s) for s in range(batch)], False)
        for s in range(batch):
            logits = ll.llama_get_logits_ith(context, s)
            tokens[s] = max(0, int(logits[0] > logits[1]))  # the argmax itself would time Python
    seconds = time.perf_counter() - start
    print(json.dumps(dict(prefill=prompt / prefill, decode=new * batch / seconds,
                          about="llama.cpp, " + ll.llama_print_system_info().decode().strip())))


if __name__ == "__main__":
    main()
