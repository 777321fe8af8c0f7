#!/bin/bash
# The tests, as options of `swift test` choose them; what failed is said again at the end, where it is found.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
swift test --skip-build "$@" 2>&1 | tee "$log" || status=$?
if [ $status -ne 0 ]; then
    printf '\nWhat failed:\n'
    # With the lines behind an issue, which show the values.
    grep -aE -A4 '^✘|recorded an issue|error:' "$log" | grep -avE '^(✔|◇)' | tail -n 200 || true
fi
exit $status
