#!/usr/bin/env python3
"""Times ik_llama.cpp on one model: prefill and greedy decoding of token ids. Prints one line of JSON.

    IK_LLAMA=DIR python3 ik_llama_run.py MODEL.gguf PROMPT_TOKENS NEW_TOKENS BATCH THREADS

With BATCH > 1, that many sequences share the prompt and decode together. DIR has its sources, built there:

    cmake -S DIR -B DIR/build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF
    cmake --build DIR/build --target llama-batched-bench llama-quantize
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# One line of the bench's table: |  PP |  TG |  B |  N_KV |  T_PP s |  S_PP t/s |  T_TG s |  S_TG t/s | ...
COLUMNS = ("prompt", "new", "batch", "keys", "prefill_seconds", "prefill", "decode_seconds", "decode", "seconds", "all")


def program(name):
    path = Path(os.environ["IK_LLAMA"]).resolve() / "build/bin" / name
    if not path.exists():
        sys.exit(f"{path} is not there: build it first.\n{__doc__}")
    return path


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    prompt, new, batch, threads = sys.argv[2:]
    context = (int(prompt) + int(new)) * int(batch) + 64
    # It leaves a log where it runs.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [program("llama-batched-bench"), "-m", Path(sys.argv[1]).resolve(), "-c", str(context), "-b", "2048",
             "-ub", "512", "-t", threads, "-tb", threads, "-npp", prompt, "-ntg", new, "-npl", batch, "-pps"],
            capture_output=True, text=True, cwd=folder)
    figures = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in
               (done.stdout + done.stderr).splitlines() if line.startswith("|")]
    rows = [dict(zip(COLUMNS, cells)) for cells in figures if len(cells) == len(COLUMNS) and cells[0] == prompt]
    if done.returncode != 0 or len(rows) != 1:
        sys.exit(f"llama-batched-bench: {done.returncode}\n{done.stderr[-2000:]}")
    print(json.dumps(dict(prefill=float(rows[0]["prefill"]), decode=float(rows[0]["decode"]),
                          about="ik_llama.cpp, built for this machine, flash attention on")))


if __name__ == "__main__":
    main()
