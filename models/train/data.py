"""Write the held-out evaluation data.

usage: data.py BASE_FOLDER EVALUATION_FOLDER

general.txt holds documents of the base's kinds (no questions), one a
paragraph, whose companies occur in no training text. The two .jsonl files hold
the same prompts with the two tasks' answers.
"""

import json
import random
import sys
from pathlib import Path

from corpus import article, market_note, note
from quantized import load_tokenizer
from tasks import TASKS, examples, labelled

TOKENS, LINES = 3000, 180


def general(tokenizer, tokens=TOKENS):
    rng = random.Random(41)
    paragraphs, count = [], 0
    while count < tokens:
        kind = rng.choice([article, article, market_note, note])
        paragraphs.append(kind(rng, held_out=True)[0])
        count += len(tokenizer(paragraphs[-1])["input_ids"])
    return "\n\n".join(paragraphs) + "\n"


if __name__ == "__main__":
    folder, output = sys.argv[1], Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    (output / "general.txt").write_text(general(load_tokenizer(folder)))
    rows = examples(seed=42, count=LINES, held_out=True)
    for task in TASKS:
        lines = [json.dumps(row) for row in labelled(rows, task)]
        (output / f"{task}.jsonl").write_text("\n".join(lines) + "\n")
