#!/usr/bin/env python3
"""Writes a GGUF file in another mixture of llama.cpp's formats, as its llama-quantize would.

    python3 requantize_gguf.py MODEL.gguf Q4_K_M OUT.gguf
"""

import ctypes
import sys

import llama_cpp as ll

MIXTURES = {"Q4_K_M": 15}


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in MIXTURES:
        sys.exit(__doc__)
    silent = ll.llama_log_callback(lambda level, text, data: None)
    ll.llama_log_set(silent, ctypes.c_void_p(0))
    settings = ll.llama_model_quantize_default_params()
    settings.ftype = MIXTURES[sys.argv[2]]
    settings.allow_requantize = True
    status = ll.llama_model_quantize(sys.argv[1].encode(), sys.argv[3].encode(), ctypes.byref(settings))
    if status != 0:
        sys.exit(f"llama_model_quantize: {status}")


if __name__ == "__main__":
    main()
