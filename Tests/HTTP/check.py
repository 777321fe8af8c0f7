"""A server over HTTP, seen from outside: what it tells Prometheus, what it holds on to, what it costs.

    python Tests/HTTP/check.py [--program .build/release/dora-serve] [--clients 200] [--aborts 2000] [--idle 1000]

Needs prometheus_client (requirements.txt); `wrk` is used if it is there.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from prometheus_client.parser import text_string_to_metric_families

ROUTERS = ["requests_waiting", "requests_running", "kv_cache_usage_ratio", "lora_requests_info", "cache_config_info"]
VLLM = ["num_requests_waiting", "num_requests_running", "kv_cache_usage_perc", "lora_requests_info", "cache_config_info"]


class Server:
    """A `dora-serve` of its own on ports of its own."""

    def __init__(self, program, *options):
        self.process = subprocess.Popen(
            [program, "--model", "models/base", "--adapter-root", "models/adapters", "--listen", "tcp:127.0.0.1:0",
             "--http", "tcp:127.0.0.1:0", "--metrics-listen", "tcp:127.0.0.1:0", "--log-level", "error", *options],
            stdout=subprocess.PIPE, text=True)
        self.ports = {}
        for line in self.process.stdout:
            word, _, address = line.strip().partition(" on tcp:127.0.0.1:")
            if address:
                self.ports[word] = int(address)
            if len(self.ports) == 3:
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def ask(self, method, path, body=None, port="HTTP"):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=60)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def stats(self):
        return json.loads(self.ask("GET", "/v1/stats")[1])

    def memory(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty")) * 1024

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=60)


def expect(truth, message):
    print(("ok    " if truth else "WRONG ") + message, flush=True)
    if not truth:
        raise SystemExit(1)


def complete(server, **fields):
    return server.ask("POST", "/v1/completions", {"prompt": "the market", "max_tokens": 8, **fields})


def check_metrics(server):
    for model in ["sentiment", "topic", "base"]:
        expect(complete(server, model=model)[0] == 200, f"{model} answers")
    expect(complete(server, model="x\"\\\n{}")[0] == 404, "a strange name is unknown")
    for port in ["HTTP", "metrics"]:
        status, text = server.ask("GET", "/metrics", port=port)
        expect(status == 200, f"{port}: metrics are told")
    expect(server.ask("GET", "/v1/models", port="metrics")[0] == 404, "nothing else is told there")
    seen, described = set(), set()
    for line in text.splitlines():
        if line.startswith("# "):
            described.add((line.split()[1], line.split()[2]))
            continue
        name = line.split("{")[0].split(" ")[0]
        bare = next((name[: -len(end)] for end in ("_bucket", "_sum", "_count")
                     if name.endswith(end) and ("TYPE", name[: -len(end)]) in described), name)
        expect_quiet(("HELP", bare) in described and ("TYPE", bare) in described, f"{name} before its description")
        series = line.rsplit(" ", 1)[0]
        expect_quiet(series not in seen, f"{series} twice")
        seen.add(series)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, family in families.items():
        if family.type == "counter":
            expect_quiet(all(s.name.endswith("_total") for s in family.samples), f"{name} is no total")
        if family.type == "histogram":
            counts = [s.value for s in family.samples if s.name.endswith("_bucket")]
            expect_quiet(counts == sorted(counts) and len(counts) == 17, f"{name} is not cumulative")
    expect(len(families) > 30, f"Prometheus' parser reads {len(families)} metrics, {len(seen)} series")
    for name in [f"dora_{n}" for n in ROUTERS] + [f"vllm:{n}" for n in VLLM]:
        expect_quiet(len(families[name].samples) == 1, f"{name} has not one series")
    labels = families["vllm:lora_requests_info"].samples[0].labels
    expect(set(labels["running_lora_adapters"].split(",")) == {"sentiment", "topic"}, "routers see what is in memory")
    expect(int(labels["max_lora"]) >= 2, "and for how many there is room")


def expect_quiet(truth, message):
    if not truth:
        expect(False, message)


def check_aborts(server, count):
    """Clients that leave at any moment leave nothing behind."""
    body = {"prompt": [1, 5, 9], "max_tokens": 500, "ignore_eos": True, "model": "sentiment"}

    def run(seed, number):
        chance = random.Random(seed)
        for _ in range(number):
            data = json.dumps({**body, "stream": chance.random() < 0.5}).encode()
            client = socket.create_connection(("127.0.0.1", server.ports["HTTP"]))
            client.sendall(
                b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(data) + data[: chance.choice([0, 10, len(data), len(data)])])
            time.sleep(chance.random() * 0.02)
            client.close()

    def round_of(number):
        threads = [threading.Thread(target=run, args=(seed, number // 16)) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        deadline = time.time() + 10
        while time.time() < deadline:
            stats = server.stats()
            if stats["running"] == 0 and stats["queued"] == 0 and stats["connections"] == 1:
                return stats
            time.sleep(0.05)
        return stats

    round_of(min(count, 800))
    before, descriptors = server.memory(), len(os.listdir(f"/proc/{server.process.pid}/fd"))
    stats = round_of(count)
    after = server.memory()
    expect(stats["running"] == 0 and stats["queued"] == 0 and stats["connections"] == 1,
           f"{count} aborted requests leave no connection and no sequence ({stats['cancelled']} were cancelled)")
    expect(len(os.listdir(f"/proc/{server.process.pid}/fd")) <= descriptors + 1, "and no descriptor")
    expect(after - before < 16 << 20, f"and {(after - before) / 1e6:.1f} MB")


def check_idle(server, count):
    before = server.memory()
    clients = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", server.ports["HTTP"]))
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        clients.append(client)
    for client in clients:
        client.recv(4096)
    used = server.memory() - before
    expect(used < 50 << 20, f"{count} idle connections take {used / 1e6:.1f} MB")
    for client in clients:
        client.close()


def check_slow(server):
    """Slow bodies and slow readers hold up nobody."""
    slow = []
    for _ in range(50):
        client = socket.create_connection(("127.0.0.1", server.ports["HTTP"]))
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       b"Content-Length: 1000\r\n\r\n{")
        slow.append(client)
    data = json.dumps({"prompt": [1, 5], "max_tokens": 900, "ignore_eos": True, "stream": True, "logprobs": 20}).encode()
    for _ in range(8):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.ports["HTTP"]))
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(data) + data)
        slow.append(client)
    start = time.time()
    for _ in range(20):
        expect_quiet(complete(server, model="topic")[0] == 200, "no answer beside slow clients")
    expect(time.time() - start < 60, f"20 answers beside 58 slow clients in {time.time() - start:.1f} s")
    while server.stats()["running"]:
        time.sleep(0.1)
    expect(True, "streams that nobody reads end")
    for client in slow:
        client.close()


def check_listing(server, folder):
    status, text = server.ask("GET", "/v1/models")
    expect(len(json.loads(text)["data"]) == 10_001, "10,000 adapters are listed")
    times = []
    for _ in range(10):
        start = time.time()
        server.ask("GET", "/v1/models")
        times.append(time.time() - start)
    print(f"      /v1/models with 10,000 adapters: {sorted(times)[5] * 1e3:.1f} ms (the most {max(times) * 1e3:.1f})")


def check_speed(server):
    if not shutil.which("wrk"):
        return
    output = subprocess.run(
        ["wrk", "-t1", "-c16", "-d5s", f"http://127.0.0.1:{server.ports['HTTP']}/health"], capture_output=True,
        text=True).stdout
    print("      " + next(line.strip() for line in output.splitlines() if "Requests/sec" in line))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=".build/release/dora-serve")
    parser.add_argument("--aborts", type=int, default=10_000)
    parser.add_argument("--idle", type=int, default=1000)
    options = parser.parse_args()
    server = Server(options.program, "--max-connections", "4096")
    try:
        check_metrics(server)
        check_slow(server)
        check_idle(server, options.idle)
        check_aborts(server, options.aborts)
        check_speed(server)
    finally:
        expect(server.stop() == 0, "SIGTERM ends it")
    with tempfile.TemporaryDirectory() as root:
        for index in range(10_000):
            os.mkdir(f"{root}/a{index:05}")
            shutil.copy("models/adapters/topic/adapter_config.json", f"{root}/a{index:05}/")
        many = Server(options.program, "--adapter-root", root)
        try:
            check_listing(many, root)
        finally:
            many.stop()


if __name__ == "__main__":
    main()
