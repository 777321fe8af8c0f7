#!/usr/bin/env bash
# Regenerates every fixture; same files each time. PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
rm -rf ../bases ../adapters ../golden
mkdir -p ../bases ../adapters ../golden
for step in bases gguf_bases quantized_bases quantize adapters spellings methods matching golden verify own_tokenizers hub template_fixtures; do
    echo "$step"
    "$python" -W ignore "$step.py"
done
echo families
"$python" -W ignore ../../Families/fixtures.py
