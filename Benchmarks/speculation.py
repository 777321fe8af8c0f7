"""What guessing tokens gains:  python3 Benchmarks/speculation.py MODEL [--chat MODEL] [--bundled] [--rounds 5]

MODEL is a folder as random_model.py makes them, whose texts repeat nothing. Two servers, one that guesses and one that does
not, answer the same requests in turns; every answer must be the same of both. Earlier outputs that are right at a given rate
are put into the first one's memory: each text is made once, and pieces of it, in which every token is wrong with the wanted
probability, are answered as the only choice of a request (`choices`), which costs no step and is remembered like any text.
Where several run at once, beside it stands the share of the best that the steps' times, measured in turns with it, allow
(best_guessing.py).

--chat: a real model, of which a passage of the prompt is asked back, and 50 ordinary questions. --bundled: the held-out
prompts of models/evaluation, one after another. Standard library only.
"""
import argparse, json, pathlib, random, statistics, subprocess, tempfile

from best_guessing import StepTimes, best_rate
from serving import Client

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PROMPT, LEAD = 32, 4
# Sequences whose steps are timed.
ROWS = (1, 2, 4, 6, 8, 12, 16, 20, 24)


class Server:
    def __init__(self, args, model, speculate, *more):
        self.folder = tempfile.TemporaryDirectory()
        path = f"{self.folder.name}/socket"
        command = [f"{args.bin}/dora-serve", "--model", model, "--speculate", speculate, "--listen", f"unix:{path}",
                   "--log-level", "error", *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.path = path
        self.client = Client(path)

    def ask(self, **request):
        return self.client.ask(**request)

    def at_once(self, requests):
        """The replies to requests of a client each, whose prompts are known already, so that all decode from the first step."""
        for request in requests:
            self.ask(**request | dict(max_tokens=1))
        clients = [Client(self.path) for _ in requests]
        for client, request in zip(clients, requests):
            client.send(id=1, **request)
        return [client.reply() for client in clients]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def decode_rate(replies):
    """Tokens a second behind the first ones, of sequences that run together."""
    return sum(len(reply["token_ids"]) - 1 for reply in replies) / max(reply["timing"]["decode"] for reply in replies)


def accepted(replies):
    return sum(reply["usage"].get("accepted_tokens", 0) for reply in replies) / sum(len(r["token_ids"]) for r in replies)


def repeats(tokens):
    threes = list(zip(tokens, tokens[1:], tokens[2:]))
    return len(set(threes)) < len(threes)


def seed(server, prompt, text, longest, rate, chance):
    """Has the server remember pieces of a text, each token of which is right with a probability, if those before it are."""
    for start in range(1, len(text)):
        piece = [token if chance.random() < rate else chance.randrange(10, 30000) for token in text[start:start + longest]]
        server.ask(token_ids=(prompt + text[:start])[-LEAD:], choices=[piece])


def step_seconds(plain, rows, chance, new=16):
    """Seconds of a step of as many rows."""
    replies = plain.at_once([dict(token_ids=[chance.randrange(10, 30000) for _ in range(PROMPT)], max_tokens=new,
                                  ignore_eos=True) for _ in range(rows)])
    return max(reply["timing"]["decode"] for reply in replies) / (new - 1)


def recorded(args, guessing, plain, sequences, rate, chance):
    """On ÷ off, a round at a time, with guesses that are right at the rate; None for nothing to guess."""
    ratios, rates, shares, bests = [], [], [], []
    # All pieces of a round fit into the memory of an adapter; and texts that end one after the other would show the speed of
    # few sequences as that of many.
    new, longest = min(128, 512 // sequences), 16 if sequences == 1 else 8
    for _ in range(args.rounds):
        requests, off = [], []
        # Texts that repeat themselves would be guessed from themselves.
        while not off or len(requests) < sequences:
            while len(requests) < sequences:
                prompt = [chance.randrange(10, 30000) for _ in range(PROMPT)]
                requests.append(dict(token_ids=prompt, max_tokens=new, ignore_eos=True))
            off = plain.at_once(requests)
            requests = [request for request, reply in zip(requests, off)
                        if not repeats(request["token_ids"] + reply["token_ids"])]
        if rate is not None:
            for request, reply in zip(requests, off):
                seed(guessing, request["token_ids"], reply["token_ids"], longest, rate, chance)
        on = guessing.at_once(requests)
        assert [r["token_ids"] for r in on] == [r["token_ids"] for r in off], "a guess changed an answer"
        # A machine's speed drifts within a text: those without guesses surround the one with them.
        again = plain.at_once(requests)
        rates.append(decode_rate(on))
        ratios.append(decode_rate(on) * (1 / decode_rate(off) + 1 / decode_rate(again)) / 2)
        shares.append(accepted(on))
        if rate and sequences > 1:
            times = StepTimes({rows: step_seconds(plain, rows, chance) for rows in ROWS})
            bests.append(rates[-1] / best_rate(times, sequences, new, longest, rate))
    return dict(sequences=sequences, rate=rate, ratio=statistics.median(ratios), least=min(ratios), most=max(ratios),
                tokens_per_second=statistics.median(rates), accepted=statistics.median(shares),
                of_best=statistics.median(bests) if bests else None)


def synthetic(args):
    guessing = Server(args, args.model, "15")
    plain = Server(args, args.model, "off", "--max-sequences", str(max(ROWS)))
    chance = random.Random(1)
    try:
        for sequences, rate in ((1, 1.0), (1, 0.7), (1, 0.0), (4, 0.7), (8, 0.7), (16, None)):
            row = recorded(args, guessing, plain, sequences, rate, chance)
            what = "nothing to guess" if rate is None else f"right at {rate}"
            print(f"| {sequences} at once, {what} | {row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f}) "
                  f"| {row['accepted']:.2f} | {'' if row['of_best'] is None else format(row['of_best'], '.2f')} |", flush=True)
            yield row
    finally:
        guessing.stop(), plain.stop()


PASSAGE = """The harbour of Vell lies between two headlands, and from October to March its mouth is closed by ice. In the year 1871 the \
council bought a steam tug, the Marten, from a yard in Leith for 4,250 pounds. She was to keep a channel open as far as the \
Grey Buoy, four miles out. Her first master, a man named Osric Thane, kept a log in which he noted the thickness of the ice each \
morning, the coal burnt, and the ships brought in. On the 9th of January 1874 he wrote that the ice stood at thirty-one inches."""

TOPICS = """the sea|volcanoes|how bread is made|the moon|chess|a good breakfast|the Roman empire|bicycles|learning to swim|honey bees|
the colour blue|trains|how to save money|gardens|the human heart|rain|dreams|photography|dogs|mountains|coffee|reading aloud|
the number zero|autumn|board games|silk|lighthouses|whales|paper|a long walk|clouds|soap|maps|owls|salt|the piano|tea|rivers|
glass|a rainy Sunday|ants|sleep|letters|the desert|bridges|kites|cheese|the north pole|candles|shoes"""


def conversations(args):
    """A passage asked back, and fifty ordinary questions: seconds of decoding, off ÷ on."""
    guessing, plain = Server(args, args.chat, "15"), Server(args, args.chat, "off")
    forms = ["Tell me about {}.", "Write three sentences about {}.", "Why do people like {}?", "Give me a tip about {}.",
             "What should a child know about {}?"]
    chats = [forms[i % 5].format(topic.strip()) for i, topic in enumerate(TOPICS.split("|"))]
    kinds = {"a passage of the prompt, repeated": ([f"Repeat this text word for word:\n\n{PASSAGE}"], 160),
             "50 ordinary chats": (chats, 96)}
    try:
        for kind, (questions, new) in kinds.items():
            ratios, shares = [], []
            for _ in range(args.rounds if len(questions) == 1 else 2):
                seconds, all_on = {}, []
                for question in questions:
                    request = dict(messages=[dict(role="user", content=question)], max_tokens=new)
                    replies = {}
                    for name, server in (("off", plain), ("on", guessing)):
                        replies[name] = server.ask(**request)
                        seconds[name] = seconds.get(name, 0) + replies[name]["timing"]["decode"]
                    assert replies["on"]["text"] == replies["off"]["text"], "a guess changed an answer"
                    all_on.append(replies["on"])
                ratios.append(seconds["off"] / seconds["on"])
                shares.append(accepted_of_usage(all_on))
                # Else the next round finds its own answers.
                if len(questions) > 1:
                    guessing.stop()
                    guessing = Server(args, args.chat, "15")
            print(f"| {kind} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
                  f"| {statistics.median(shares):.2f} | |", flush=True)
            yield dict(kind=kind, ratio=statistics.median(ratios), accepted=statistics.median(shares))
    finally:
        guessing.stop(), plain.stop()


def accepted_of_usage(replies):
    return (sum(reply["usage"].get("accepted_tokens", 0) for reply in replies)
            / sum(reply["usage"]["completion_tokens"] for reply in replies))


def bundled(args):
    """Both tasks' held-out prompts, one after another: seconds of decoding, off ÷ on."""
    root = ["--adapter-root", str(REPOSITORY / "models/adapters")]
    model = str(REPOSITORY / "models/base")
    tasks = {task: [json.loads(line)["context"] for line in open(REPOSITORY / f"models/evaluation/{task}.jsonl")]
             for task in ("sentiment", "topic")}
    ratios, shares = [], []
    for _ in range(args.rounds):
        seconds, on = {}, []
        texts = {}
        for name, speculate in (("off", "off"), ("on", "15")):
            server = Server(args, model, speculate, *root)
            try:
                for task, prompts in tasks.items():
                    for prompt in prompts:
                        reply = server.ask(prompt=prompt, adapter=task, max_tokens=16)
                        seconds[name] = seconds.get(name, 0) + reply["timing"]["decode"]
                        texts.setdefault(name, []).append(reply["text"])
                        if name == "on":
                            on.append(reply)
            finally:
                server.stop()
        assert texts["on"] == texts["off"], "a guess changed an answer"
        ratios.append(seconds["off"] / seconds["on"])
        shares.append(accepted_of_usage(on))
    print(f"| {len(on)} held-out prompts of the bundled tasks | {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
          f"{max(ratios):.2f}) | {statistics.median(shares):.2f} | |", flush=True)
    yield dict(kind="bundled", ratio=statistics.median(ratios), accepted=statistics.median(shares))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--chat")
    parser.add_argument("--bundled", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", default=str(REPOSITORY / ".build/release"))
    args = parser.parse_args()
    print("| decoding | on ÷ off | kept of what was made | share of the best |\n|---|---|---|---|")
    if args.model:
        list(synthetic(args))
    if args.chat:
        list(conversations(args))
    if args.bundled:
        list(bundled(args))


if __name__ == "__main__":
    main()
