#!/bin/sh
# Make everything in models/ again: tokenizer, base, adapters, held-out data, figures.
#
# usage: models/train/run.sh, with a Python that has requirements.txt
# (set PYTHON to name another than python3). Nothing is downloaded.
set -eu
cd "$(dirname "$0")/../.."

python=${PYTHON:-python3}
train=models/train
working=$(mktemp -d)
trap 'rm -rf "$working"' EXIT

# PEFT stores target_modules as a set; a fixed hash seed fixes its order.
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
# Threads that wait should sleep: the box may be shared.
export OMP_WAIT_POLICY=PASSIVE

mkdir -p models/base
"$python" $train/tokenizer.py models/base
"$python" $train/base.py models/base "$working/base"
for task in sentiment topic; do
    "$python" $train/adapters.py $task models/base models/adapters/$task
done
"$python" $train/data.py models/base models/evaluation
"$python" $train/evaluate.py models
