"""Log likelihoods by PEFT of the bundled evaluation's answers, in F32 over the decoded base: peft_scores.json.

usage: make_peft_scores.py        (needs torch, transformers and peft; docs/http.md)
"""
import json
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parent.parent / "models"
sys.path.insert(0, str(MODELS / "train"))

from evaluate import with_adapter  # noqa: E402
from quantized import load_decoded, load_tokenizer  # noqa: E402

CHOICES = ["negative", "neutral", "positive"]
LIMIT = 20


@torch.no_grad()
def main():
    tokenizer = load_tokenizer(MODELS / "base")
    model = with_adapter(load_decoded(MODELS / "base"), MODELS / "adapters/sentiment")
    rows = []
    for line in (MODELS / "evaluation/sentiment.jsonl").read_text().splitlines()[:LIMIT]:
        context = json.loads(line)["context"]
        for choice in CHOICES:
            whole = tokenizer(context + choice, add_special_tokens=False)["input_ids"]
            # As the harness cuts: blanks at the end of the context belong to the continuation.
            start = len(tokenizer(context.rstrip(), add_special_tokens=False)["input_ids"])
            logs = torch.log_softmax(model(input_ids=torch.tensor([whole])).logits[0].double(), dim=-1)
            chosen = [logs[at - 1, whole[at]].item() for at in range(start, len(whole))]
            rows.append({"text": context + choice, "logprob": sum(chosen), "tokens": len(chosen)})
    (HERE / "peft_scores.json").write_text(json.dumps(rows, indent=1) + "\n")


main()
