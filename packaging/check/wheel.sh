#!/bin/sh
# The wheel in a fresh virtual environment: programs, client, types.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
clean() { env -i PATH=/usr/bin:/bin HOME="$work" LANG=C.UTF-8 "$@"; }
clean "$work/venv/bin/pip" install --quiet --no-index --no-deps "$here"/../../dist/dora_serve-*.whl
cd "$work"
sh "$here/answers.sh" "$work/venv/bin" "$work/venv/share/dora/models"
echo "== the client's examples"
for module in dora_serve dora_serve._client dora_serve._server dora_serve._peft; do
    clean "$work/venv/bin/python" -c "
import doctest, importlib, sys
found = doctest.testmod(importlib.import_module('$module'))
print('  $module:', found.attempted, 'examples,', found.failed, 'failed')
sys.exit(found.failed > 0 or found.attempted == 0)"
done
clean "$work/venv/bin/python" "$here/client.py"
echo "== its types"
python3 -m venv "$work/types"
"$work/types/bin/pip" install --quiet mypy
"$work/types/bin/mypy" --strict -p dora_serve --python-executable "$work/venv/bin/python"
echo "== uninstalled"
clean "$work/venv/bin/pip" uninstall --quiet --yes dora-serve
# pip leaves folders of data behind, empty.
left=$(find "$work/venv" -ipath '*dora*' ! -type d | head)
[ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
