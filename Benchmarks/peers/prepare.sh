#!/bin/sh
# Writes what compare.py reads: a 1.1B-shaped model in each format, an adapter, and llama.cpp's files. About 5 GB.
set -eu
[ $# = 1 ] || { echo "usage: prepare.sh FOLDER" >&2; exit 64; }
here=$(dirname "$0")
python3 "$here/../random_model.py" 1.1b int8 "$1/int8"
python3 "$here/../random_model.py" 1.1b nf4-double "$1/nf4-double"
python3 "$here/../random_model.py" 1.1b adapter "$1/adapter"
python3 "$here/write_gguf.py" "$1/int8" Q8_0 "$1/Q8_0.gguf"
python3 "$here/write_gguf.py" "$1/int8" Q4_0 "$1/Q4_0.gguf"
