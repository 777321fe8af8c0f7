#!/bin/sh
# The server over HTTP, seen from outside; `wrk` measures too, where it is installed.
set -eu
cd "$(dirname "$0")/../.."
environment=${TMPDIR:-/tmp}/dora-http-check
[ -x "$environment/bin/python" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --requirement Tests/HTTP/requirements.txt
exec "$environment/bin/python" Tests/HTTP/check.py "$@"
