#!/bin/sh
# The page in a real browser: run.sh [--serve .build/release/dora-serve] [--screenshots FOLDER] [a test's name …]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for command in chromium chromedriver curl; do
    command -v $command >/dev/null || missing=1
done
[ -z "${missing:-}" ] || "$here/../../scripts/install-dependencies.sh" chromium chromium-driver curl
exec python3 "$here/check.py" "$@"
