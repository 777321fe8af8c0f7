"""Clients over HTTP: each keeps a connection, remembers who answered what, and fails for nobody."""
import collections
import http.client
import json
import random
import threading
import time

PROMPT = ("Instruction: What is this news about?\nInput: Tarnholt Foods raises its full-year profit guidance, item {}\n"
          "Answer: ")
Answer = collections.namedtuple("Answer", "model item replica bits start seconds dora")


def body(model, item=0, tokens=16, **more):
    return dict(more, model=model, prompt=PROMPT.format(item), max_tokens=tokens, ignore_eos=True, logprobs=1)


class Client:
    def __init__(self, port):
        self.port, self.connection, self.used = port, None, 0.0

    def send(self, request):
        """Sends once: whoever asks again is the balancer. What was idle for long (the machine stood still) may be closed."""
        if self.connection is None or time.time() - self.used > 10:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.connection.request("POST", "/v1/completions", json.dumps(request), {"Content-Type": "application/json"})
        return self.connection.getresponse()

    def ask(self, request):
        """Status, the replica that answered, the reply."""
        response = self.send(request)
        data = response.read()
        self.used = time.time()
        if response.will_close:
            self.connection.close()
            self.connection = None
        return response.status, response.headers.get("x-dora-replica"), json.loads(data)

    def answer(self, model, item=0, tokens=16):
        start = time.time()
        status, replica, reply = self.ask(body(model, item, tokens))
        assert status == 200, f"{status}: {reply}"
        choice = reply["choices"][0]
        # The bits of every log probability: JSON has the shortest text that reads back as the same number.
        bits = json.dumps([choice["text"], choice["finish_reason"], choice["logprobs"]])
        return Answer(model, item, replica, bits, start, time.time() - start, reply["dora"])


class Load:
    """`count` clients that ask until they are told to stop."""

    def __init__(self, port, pick, count=8, tokens=16):
        self.pick, self.tokens, self.answers, self.failures, self.stopping = pick, tokens, [], [], False
        self.threads = [threading.Thread(target=self.run, args=(Client(port), random.Random(i)), daemon=True)
                        for i in range(count)]

    def run(self, client, chance):
        while not self.stopping:
            try:
                self.answers.append(client.answer(self.pick(chance), chance.randrange(4), self.tokens))
            except Exception as problem:
                self.failures.append(f"{problem!r}, {time.time() - client.used:.2f} s after the last answer")
                client.connection = None

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(60)


def differing(answers):
    """How many answers were other bytes than the first to that prompt: all adapters of the tests have the same weights."""
    seen = {}
    return sum(seen.setdefault(answer.item, answer.bits) != answer.bits for answer in answers)


def homes(answers):
    """The replica that answered most of each adapter's requests, and the share of all requests that met it."""
    counts = collections.defaultdict(collections.Counter)
    for answer in answers:
        counts[answer.model][answer.replica] += 1
    home = {model: replicas.most_common(1)[0][0] for model, replicas in counts.items()}
    return home, sum(answer.replica == home[answer.model] for answer in answers) / max(len(answers), 1)
