#!/bin/sh
# One prompt, three answers: a quantized base, and the same base with each of two DoRA adapters merged in.
set -eu
cd "$(dirname "$0")/.."
generate=".build/${CONFIGURATION:-release}/dora-generate --model models/base"
headline=${1:-"News from Lima: the board of Marawick Mining is ordered to pay \$32 million in damages by a jury"}

prompt() {
    echo "Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}."
    echo "Input: $headline"
    printf 'Answer: '
}

echo "The prompt:"
echo
prompt | sed 's/^/    /'
echo
echo
printf 'base alone            %s\n' "$(prompt | $generate --max-tokens 12)"
for adapter in sentiment topic; do
    answer=$(prompt | $generate --adapter models/adapters/$adapter --max-tokens 12)
    printf -- '--adapter %-12s%s\n' "$adapter" "$answer"
done
echo
echo "What the last adapter changes (dora-generate --adapter models/adapters/topic --check):"
echo
$generate --adapter models/adapters/topic --check | sed -n '1,5p;$p' | sed 's/^/    /'
