"""The programs of this project, run on the same token ids."""

import json
import math
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from tables import kl, share

BIN = Path(__file__).resolve().parent.parent.parent / ".build/release"
# How many alternatives dora-generate tells at most.
LIKELIEST = 1000
# (kind, weights) of the rates that are told
RATES = [(kind, weights) for kind in ("prefill", "decode") for weights in ("base", "adapted")]


def options(settings):
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def run(program, *arguments):
    done = subprocess.run([BIN / program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def output(program, *arguments):
    return json.loads(run(program, *arguments))


@contextmanager
def packed(checkpoint, form, work):
    """The base in one file, so that a process for every text starts at once; merges give the same bits."""
    # In a folder of its own: another run may share the work folder.
    with tempfile.TemporaryDirectory(dir=work) as folder:
        file = Path(folder, f"{form}.dora")
        run("dora-pack", checkpoint, *([] if form == "16-bit" else ["--quantize", form]), "-o", file)
        yield file


def scored(model, settings, adapter, ids):
    with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
        file.write(" ".join(map(str, ids)))
        file.flush()
        adapters = ["--adapter", adapter] if adapter else []
        found = output("dora-generate", "--model", model, *options(settings), *adapters, "--token-ids", "--no-special",
                       "--prompt-file", file.name, "--score", "--json", "--logprobs", LIKELIEST)
    return found["logprobs"]


@dataclass
class Agreement:
    divergence: float  # mean KL from F32's predictions, in nats
    distance: float    # mean distance of the log probabilities of the texts' own tokens
    equal: float       # share of positions with the same first choice


def divergence(log_p, log_q, ids):
    """KL of a position. Beyond `ids`, the likeliest, all tokens count as one; that leaves out next to nothing."""
    p = log_p[ids].exp()
    value = (p * (log_p[ids] - log_q)).sum().item()
    rest_p, rest_q = 1 - p.sum().item(), 1 - log_q.exp().sum().item()
    return value + rest_p * math.log(rest_p / rest_q) if min(rest_p, rest_q) > 1e-9 else value


def agreement(model, settings, adapter, texts, exact):
    """exact: for each text F32's log probabilities, [position, token]."""
    found = []
    for ids, predictions in zip(texts, exact, strict=True):
        for log_p, entry in zip(predictions.double(), scored(model, settings, adapter, ids), strict=True):
            likeliest, log_q = zip(*entry["top"])
            log_q = torch.tensor(log_q, dtype=torch.float64)
            found.append((divergence(log_p, log_q, torch.tensor(likeliest)),
                          abs(log_p[entry["id"]].item() - entry["logprob"]), log_p.argmax().item() == likeliest[0]))
    return Agreement(*map(statistics.mean, zip(*found)))


def as_stored(model, form, settings, text):
    """Cells: KL and share of equal first choices, beside F32 arithmetic on the weights as they are stored."""
    quantize = {} if form == "16-bit" else dict(quantize=form)
    found = output("dora-accuracy", "--model", model, "--text", text, "--as-stored", *options(quantize | settings))
    return kl(found["divergence"]), share(found["equalTokens"] / found["tokens"])


def survival(model, settings, adapter):
    """The least share of a change that is left in a merged matrix."""
    return output("dora-generate", "--model", model, *options(settings), "--adapter", adapter, "--check",
                  "--json")["least_survival"]


def answers(model, settings, adapter, prompts, new_tokens):
    """Greedy answers of a server, as token ids."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        adapters = ["--adapter", adapter] if adapter else []
        server = subprocess.Popen([BIN / "dora-serve", "--model", model, *options(settings), *adapters,
                                   "--listen", f"unix:{path}", "--log-level", "error"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            server.stdout.readline()  # it listens
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                file = connection.makefile("rw")
                for number, ids in enumerate(prompts):
                    request = dict(id=number, token_ids=ids, no_special=True, max_tokens=new_tokens)
                    file.write(json.dumps(request) + "\n")
                file.flush()
                replies = [json.loads(file.readline()) for _ in prompts]
        finally:
            server.terminate()
            server.wait()
    return [reply["token_ids"] for reply in sorted(replies, key=lambda reply: reply["id"])]


def speed(model, settings, adapter, prompt, context, new_tokens):
    """Tokens a second: decode of base and adapted model, prefill."""
    found = output("dora-bench", "--model", model, *options(settings), "--adapter", adapter, "--contexts", context,
                   "--prefills", prompt, "--head", "auto", "--steps", new_tokens, "--rounds", 3)
    rates = {(kind, row["weights"]): row["tokensPerSecond"] for kind in ("prefill", "decode") for row in found[kind]}
    return rates, found["memory"]["matrices"]
