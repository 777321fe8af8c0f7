#!/bin/sh
# All of it, in a Debian root that is made for it and goes with it.
#
#   DORA_CHECK_ROOT=FOLDER   a root that stays, and is made where there is none
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/root.sh"
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=${DORA_CHECK_ROOT:-$work/root}
if [ ! -e "$root/etc/debian_version" ]; then
    echo "== a clean Debian root"
    make_root "$root"
fi
"$here/deb.sh" "$root"
echo "== the image"
"$here/container.sh" "$root"
echo "== the wheel"
"$here/wheel.sh"
