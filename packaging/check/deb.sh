#!/bin/sh
# deb.sh ROOT: the Debian package and the tarball in a clean Debian root: installed, run, on an old CPU too, removed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dist=$here/../../dist
. "$here/root.sh"
work=$(mktemp -d)
root=$1
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

echo "== lintian"
lintian --fail-on error --allow-root "$dist"/dora_*.deb

mkdir -p "$root/check"
cp "$here/answers.sh" "$dist"/dora_*.deb "$dist"/dora-*-linux-*.tar.gz "$root/check/"
in_root "$root" apt-get update -qq
# A root that was given may have seen another package before.
in_root "$root" dpkg --purge dora >/dev/null 2>&1 || true
# What apt itself brings, and what the package needs, is not the package's.
in_root "$root" apt-get install -y -qq --no-install-recommends man-db adduser systemd >/dev/null
files() { (cd "$root" && find . -xdev -path ./proc -prune -o -path ./dev -prune -o -path ./run -prune -o -path ./check -prune -o -print | sort); }

echo "== the tarball, before any library is there"
in_root "$root" sh -c 'cd /check && mkdir -p "/opt/a folder" && tar -xzf dora-*-linux-*.tar.gz -C "/opt/a folder" --strip-components=1'
in_root "$root" sh /check/answers.sh "/opt/a folder/bin" "/opt/a folder/share/dora/models"
in_root "$root" rm -rf "/opt/a folder"

echo "== dpkg -i"
packages=$(in_root "$root" sh -c 'apt-get install -s --no-install-recommends /check/dora_*.deb' | sed -n 's/^Inst \([^ ]*\).*/\1/p' | grep -vx dora || true)
# shellcheck disable=SC2086 # names of packages
[ -z "$packages" ] || in_root "$root" apt-get install -y -qq --no-install-recommends $packages >/dev/null
files >"$work/before"
in_root "$root" sh -c 'dpkg -i /check/dora_*.deb' | tail -n 1
in_root "$root" sh /check/answers.sh /usr/bin /usr/share/dora/models
for name in dora-export dora-generate dora-pack dora-serve; do
    in_root "$root" sh -c "man $name | head -n 1"
    in_root "$root" ls /usr/share/bash-completion/completions/$name /usr/share/zsh/vendor-completions/_$name \
        /usr/share/fish/vendor_completions.d/$name.fish >/dev/null
done
[ "$(in_root "$root" getent group dora | cut -d: -f1)" = dora ] || fail "there is no group dora"

echo "== systemd"
# Every program and manual that the unit names is there; and what it may do is little.
in_root "$root" systemd-analyze verify dora.service
in_root "$root" systemd-analyze security --offline=yes --threshold=25 dora.service | tail -n 1
"$here/service.sh" "$root"

echo "== a CPU without AVX2 answers the same bytes"
cp "$(command -v qemu-x86_64-static)" "$root/check/qemu"
ask='printf "Input: the board is ordered to pay damages by a jury\nAnswer: " | $RUN /usr/bin/dora-generate --adapter /usr/share/dora/models/adapters/topic --max-tokens 12 --ignore-eos --json --logprobs 5'
# But for how long it took, and what was guessed right.
answer() { in_root "$root" sh -c "RUN='$1'; $ask" | sed -E 's/"timing":\{[^}]*\}//; s/"([a-z_]+_seconds?|accepted_tokens)":[0-9.e-]+//g'; }
plain=$(answer '')
old=$(answer '/check/qemu -cpu Nehalem')
in_root "$root" /check/qemu -cpu Nehalem /usr/bin/dora --version | sed 's/^/  /'
[ -n "$plain" ] && [ "$plain" = "$old" ] || fail "the answers differ: $plain, $old"
echo "  $(printf %s "$plain" | cksum) both times"
write='rm -rf /check/out && $RUN /usr/bin/dora-export --model /usr/share/dora/models/base --adapter /usr/share/dora/models/adapters/topic -o /check/out'
exported() { in_root "$root" sh -c "RUN='$1'; $write && cksum </check/out/model.safetensors"; }
plain=$(exported '')
old=$(exported '/check/qemu -cpu Nehalem')
[ -n "$plain" ] && [ "$plain" = "$old" ] || fail "the exports differ: $plain, $old"
# There the decomposition rounds otherwise.
in_root "$root" sh -c "RUN='/check/qemu -cpu Nehalem'; $write --as-lora 16" | tail -n 1 | sed 's/^/  exported, and as a plain LoRA: /'

echo "== purged"
in_root "$root" dpkg --purge dora | tail -n 1
files >"$work/after"
diff "$work/before" "$work/after" | grep '^[<>]' | grep -vE ' \./(var/(lib/dpkg|cache|log)|etc/(group|gshadow)-|usr/share/man)' >"$work/left" || true
[ ! -s "$work/left" ] || { cat "$work/left"; fail "the package left something behind"; }
! in_root "$root" getent group dora || fail "the group dora is left"
echo "  nothing is left"
