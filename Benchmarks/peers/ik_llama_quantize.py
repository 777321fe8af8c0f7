#!/usr/bin/env python3
"""Writes a GGUF file in another of ik_llama.cpp's formats, by its own llama-quantize.

    IK_LLAMA=DIR python3 ik_llama_quantize.py MODEL.gguf Q8_0_R8 OUT.gguf
"""

import subprocess
import sys

from ik_llama_run import program


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    source, form, out = sys.argv[1:]
    done = subprocess.run([program("llama-quantize"), "--allow-requantize", source, out, form], capture_output=True,
                          text=True)
    if done.returncode != 0:
        sys.exit(f"llama-quantize: {done.returncode}\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
