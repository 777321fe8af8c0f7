"""Both protocols at once, streams and not, with clients that go away: everybody's bytes are those of a run alone."""
import json
import random
import socket
import threading
import time

from conftest import PROMPT


def request(body, path="/v1/completions"):
    data = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def settled(server):
    for _ in range(200):
        stats = server.line(op="stats")["result"]
        if stats["running"] == stats["queued"] == stats["waiting_for_adapter"] == 0:
            return stats
        time.sleep(0.05)
    raise AssertionError(f"something still runs: {stats}")


def test_bytes_are_those_of_a_run_alone(server):
    cases = [(model, PROMPT + " " * blanks) for model in ("base", "sentiment", "topic") for blanks in range(3)]
    alone = {case: server.line(prompt=case[1], adapter=None if case[0] == "base" else case[0], max_tokens=24,
                               ignore_eos=True, logprobs=1) for case in cases}
    wrong, count = [], [0]

    def lines(seed):
        random_ = random.Random(seed)
        for _ in range(25):
            case = random_.choice(cases)
            reply = server.line(prompt=case[1], adapter=None if case[0] == "base" else case[0], max_tokens=24,
                                ignore_eos=True, logprobs=1, stream=random_.random() < 0.5)
            check(case, reply["text"], [entry["logprob"] for entry in reply["logprobs"]])

    def http(seed):
        random_ = random.Random(seed)
        for _ in range(25):
            case = random_.choice(cases)
            body = {"model": case[0], "prompt": case[1], "max_tokens": 24, "ignore_eos": True, "logprobs": 1}
            if random_.random() < 0.5:
                reply = json.loads(server.post("/v1/completions", body)[2])["choices"][0]
                check(case, reply["text"], reply["logprobs"]["token_logprobs"])
            else:
                events = server.post("/v1/completions", {**body, "stream": True})[2].decode().split("\n\n")
                chunks = [json.loads(event[6:])["choices"][0] for event in events if event.startswith("data: {")]
                check(case, "".join(chunk["text"] for chunk in chunks),
                      [value for chunk in chunks if chunk["logprobs"] for value in chunk["logprobs"]["token_logprobs"]])

    def leaving(seed):
        random_ = random.Random(seed)
        for _ in range(40):
            with socket.create_connection(("127.0.0.1", server.http)) as connection:
                connection.sendall(request({
                    "model": random_.choice(cases)[0], "prompt": PROMPT, "max_tokens": 300, "ignore_eos": True,
                    "stream": random_.random() < 0.5}))
                time.sleep(random_.random() * 0.05)

    def check(case, text, logprobs):
        count[0] += 1
        wanted = alone[case]
        if text != wanted["text"] or logprobs != [entry["logprob"] for entry in wanted["logprobs"]]:
            wrong.append((case, text, wanted["text"]))

    threads = [threading.Thread(target=kind, args=(seed,)) for seed in range(3) for kind in (lines, http, leaving)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and count[0] == 150
    settled(server)


def test_who_goes_away_leaves_nothing(server):
    """Aborted at any moment: before the body's end, queued, streaming."""
    aborted, random_ = 10_000, random.Random(1)
    data = request({"model": "topic", "prompt": PROMPT, "max_tokens": 200, "ignore_eos": True, "stream": True})

    def abort(some):
        for _ in range(some):
            with socket.create_connection(("127.0.0.1", server.http)) as connection:
                connection.sendall(data[:random_.randrange(1, len(data) + 1)] if random_.random() < 0.3 else data)
                if random_.random() < 0.1:
                    time.sleep(0.01)

    abort(500)
    settled(server)
    before = server.memory()
    threads = [threading.Thread(target=abort, args=(aborted // 8,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = settled(server)
    assert stats["connections"] <= 2, stats
    assert server.memory() - before < 30_000, "kB of memory stayed behind"


def test_idle_connections_cost_little(server):
    settled(server)
    before, idle = server.memory(), []
    for _ in range(900):
        connection = socket.create_connection(("127.0.0.1", server.http))
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        idle.append(connection)
    assert server.memory() - before < 50_000
    for connection in idle:
        connection.close()


def test_a_connection_is_kept_and_pipelined(server):
    with socket.create_connection(("127.0.0.1", server.http)) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
        connection.settimeout(5)
        reply = b""
        while reply.count(b"HTTP/1.1 200") < 5:
            part = connection.recv(65536)
            assert part, reply
            reply += part


def test_silence_is_filled_with_pings(server):
    # A whole stream of short steps has no silence; that there is no stray comment in it is what can be seen quickly.
    reply = server.post("/v1/completions", {"model": "topic", "prompt": PROMPT, "max_tokens": 3, "stream": True})[2]
    assert b"\n: " not in reply and reply.endswith(b"data: [DONE]\n\n")
