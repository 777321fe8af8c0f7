#!/usr/bin/env python3
"""Renders damaged templates and conversations:  python3 Tests/Chat/mutations.py [COUNT] [--seed SEED]

Cut, doubled, swapped and interspersed pieces of real templates, and messages with members of the wrong kind, go through
`dora-generate --render-chat`. Any answer will do, but one must come, in one line and in time. The templates are those of
the folder DORA_TEST_DATA, or else the project's own. The same seed makes the same mutations on every machine.
"""
import argparse
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
# What an answer may take, far more than any should: the machine may be shared.
PATIENCE = 60
PIECES = ["{%", "%}", "{{", "}}", "{#", "#}", "-%}", "{%-", "{%+", "|", "tojson", "range(10**9)", "loop", "[::-1]", "'", '"', "\\",
          "for x in messages", "endfor", "if", "endif", "set ns.x=1", "*99999999", "~", "\0", "é", "e\u0301", "🙂", "\r\n",
          "(", ")", "[", "]", "namespace()", "macro a(b)", "endmacro", "a(a)", "**", "%", "//0", " is defined", "not",
          "None", "-1", "1e400", "caller()", "raw", "endraw", "recursive", "break", "continue", "generation",
          ".__class__", "|map('join')", "|sort", "|groupby(0)", "|indent(10**9)", ".format(*messages)", "('%99999d'%1)",
          "strftime_now('%')", "raise_exception(messages)"]
VALUES = [None, True, 3, -1.5, 10 ** 30, "x", "", [], {}, "<|im_end|>", [None], {"a": [1]}, "\0", "é🙂", 1e300]


def cases():
    """Templates, and conversations as `--render-chat` takes them."""
    data = os.environ.get("DORA_TEST_DATA")
    real = Path(data, "chat-templates") if data else None
    if real and real.is_dir():
        templates = [path.read_bytes().decode() for path in sorted(real.glob("*/template.jinja"))]
        lines = [line for path in sorted(real.glob("*/cases.jsonl")) for line in path.read_text().split("\n") if line]
        conversations = [json.loads(line) for line in lines]
        return real, templates, conversations
    own = REPOSITORY / "Tests/Fixtures/templates"
    chats = json.loads((own / "chats.json").read_text())
    rules = [json.loads(line)["template"] for line in (own / "rules.jsonl").read_text().split("\n") if line]
    return own, [chat["template"] for chat in chats["templates"]] + rules, chats["conversations"]


def damaged_text(text, dice):
    for _ in range(dice.choice((1, 1, 2, 4))):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.randint(1, 40))
        match dice.randrange(6):
            case 0: text = text[:start] + text[end:]
            case 1: text = text[:start] + dice.choice(PIECES) + text[start:]
            case 2: text = text[:start] + text[start:end] * dice.randint(2, 5) + text[end:]
            case 3:
                source = dice.randrange(len(text) + 1)
                text = text[:start] + text[source:source + dice.randint(1, 200)] + text[start:]
            case 4: text = text[:start] + dice.choice(PIECES) + text[end:]
            case 5: text = text[:start] if dice.random() < 0.3 else text
    return text


def damaged_value(value, dice):
    if dice.random() < 0.1:
        return dice.choice(VALUES)
    if isinstance(value, dict):
        return {key if dice.random() < 0.97 else key + "x": damaged_value(member, dice) for key, member in value.items()}
    if isinstance(value, list):
        repeated = value[:1] if dice.random() < 0.1 else []
        return [damaged_value(item, dice) for item in value + repeated]
    return value


def request(templates, conversations, dice):
    conversation = dice.choice(conversations)
    made = {key: conversation[key] for key in ("messages", "tools", "documents", "continue_final_message")
            if key in conversation}
    template = dice.choice(templates)
    made["chat_template"] = damaged_text(template, dice) if dice.random() < 0.8 else template
    if dice.random() < 0.6:
        for key in ("messages", "tools", "documents"):
            if key in made:
                made[key] = damaged_value(made[key], dice)
    return made | {"chat_template_kwargs": conversation.get("kwargs", {}), "add_generation_prompt": dice.random() < 0.7,
                   "bos_token": "<s>", "eos_token": "</s>", "now": "2026-01-02T03:04:05"}


class Renderer:
    def __init__(self, folder):
        self.process = subprocess.Popen([folder / "dora-generate", "--render-chat"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def answer(self, asked):
        """The answer, or what went wrong instead of one."""
        try:
            self.process.stdin.write(json.dumps(asked).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return f"it ended with status {self.process.wait()}"
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.process.kill()
            return f"no answer within {PATIENCE} s"
        line = self.process.stdout.readline()
        if not line:
            return f"it ended with status {self.process.wait()}"
        answer = json.loads(line)
        text = answer.get("text", answer.get("error"))
        is_answer = len(answer) == 1 and isinstance(text, str) and (text or "text" in answer)
        return answer if is_answer else f"the answer is {answer}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=100_000, help="mutations (%(default)s)")
    parser.add_argument("--seed", type=int, default=13, help="%(default)s")
    parser.add_argument("--bin", type=Path, default=REPOSITORY / ".build" / os.environ.get("CONFIGURATION", "release"), help="folder of the programs")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    source, templates, conversations = cases()
    renderer, rendered, worst, slowest = Renderer(options.bin), 0, 0, None
    renderer.answer({"chat_template": "", "messages": []})  # its start is no mutation's
    for number in range(options.count):
        asked = request(templates, conversations, dice)
        start = time.monotonic()
        answer = renderer.answer(asked)
        elapsed = time.monotonic() - start
        if isinstance(answer, str):
            with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
                json.dump(asked, file)
                file.write("\n")
            sys.exit(f"mutation {number}: {answer}; it is in {file.name}")
        rendered += "text" in answer
        if elapsed > worst:
            worst, slowest = elapsed, number
    print(f"{options.count} mutations of {len(templates)} templates and {len(conversations)} conversations of {source}: "
          f"{rendered} rendered, {options.count - rendered} refused; the slowest, {slowest}, took {worst:.3f} s")


if __name__ == "__main__":
    main()
