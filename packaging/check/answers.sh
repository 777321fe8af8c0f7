#!/bin/sh
# answers.sh DIRECTORY-OF-PROGRAMS DIRECTORY-OF-MODELS: a first answer, a server's answers and exports, as an installation
# gives them.
set -eu
bin=$1
models=$2
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
server=
fail() { echo "FAILED: $*" >&2; exit 1; }
expect() { [ "$2" = "$3" ] || fail "$1: '$2' instead of '$3'"; echo "  $1: $2"; }

prompt='Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.
Input: News from Lima: the board of Marawick Mining is ordered to pay $32 million in damages by a jury
Answer: '
ask() { printf '%s' "$prompt" | "$bin/dora-generate" --max-tokens 12 "$@"; }

"$bin/dora-serve" --version | sed 's/^/  /'
expect "base alone" "$(ask)" positive
expect "--adapter sentiment" "$(ask --adapter "$models/adapters/sentiment")" negative
expect "--adapter topic" "$(ask --adapter "$models/adapters/topic")" lawsuit
"$bin/dora-pack" "$models/base" -o "$work/base.dora"
expect "packed" "$(ask --model "$work/base.dora" --adapter "$models/adapters/topic")" lawsuit

# What it writes, it reads.
merge() { "$bin/dora-export" --model "$models/base" --adapter "$models/adapters/topic" "$@"; }
merge -o "$work/merged"
expect "exported" "$(ask --model "$work/merged")" lawsuit
merge --format gguf --dtype q8_0 -o "$work/merged.gguf"
expect "exported as GGUF" "$(ask --model "$work/merged.gguf")" lawsuit
kept=$(merge --as-lora 16 -o "$work/lora" | tail -n 1)
expect "exported as a plain LoRA, $kept" "$(ask --adapter "$work/lora")" lawsuit
! grep -q '"use_dora": *true' "$work/lora/adapter_config.json" || fail "it is no plain LoRA"
expect "exported over what is there" "$(merge -o "$work/merged" 2>&1 | tail -n 1 | sed "s|$work/||")" \
    "dora-export: merged: cannot be written: the folder exists and is not empty; give another name"

"$bin/dora-serve" --adapter-root "$models/adapters" --listen "unix:$work/sock" --socket-mode 660 \
    --http tcp:127.0.0.1:0 --log-level error >"$work/out" &
server=$!
tries=0
until grep -q 'one line in' "$work/out"; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail "the server does not listen"
    sleep 0.1
done
expect "the socket's mode" "$(stat -c %a "$work/sock")" 660
for pair in sentiment:negative topic:lawsuit; do
    expect "served ${pair%:*}" "$(ask --connect "unix:$work/sock" --adapter "${pair%:*}")" "${pair#*:}"
done
names=$("$bin/dora-generate" ---completion -- --adapter 4 0 dora-generate --connect "unix:$work/sock" --adapter '' 2>/dev/null || true)
expect "completed" "$(echo "$names" | tr '\n' ' ')" "sentiment topic "
kill -TERM "$server"
wait "$server" || fail "the server ended with $?"
server=
[ ! -e "$work/sock" ] || fail "the server left its socket"
