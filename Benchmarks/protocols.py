"""What HTTP costs over the line protocol:  python3 Benchmarks/protocols.py [--model MODEL] [--adapter ADAPTER]

One server, both protocols, the same requests in turns; medians, and ratios within a round. Needs only the standard
library, and Debian's wrk for the rates. Without a model: the demo model, whose steps take a tenth of a millisecond, so
that everything around them shows.
"""
import argparse, http.client, json, os, pathlib, re, shutil, socket, statistics, subprocess, tempfile, threading, time

REPOSITORY = pathlib.Path(__file__).parent.parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lines:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def ask(self, ids, tokens, stream=False):
        """Tokens made."""
        self.socket.sendall(json.dumps({"id": 1, "token_ids": ids, "max_tokens": tokens, "ignore_eos": True,
                                        "stream": stream}).encode() + b"\n")
        while True:
            line = self.file.readline()
            if b'"done":true' in line:
                return json.loads(line)["usage"]["completion_tokens"]


class Requests:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, ids, tokens, stream=False):
        body = json.dumps({"prompt": ids, "max_tokens": tokens, "ignore_eos": True, "stream": stream})
        self.connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        reply = self.connection.getresponse()
        data = reply.read()
        assert reply.status == 200, data
        if stream:
            assert data.endswith(b"data: [DONE]\n\n")
            return tokens
        return json.loads(data)["usage"]["completion_tokens"]


def one_client(client, count, tokens, seed):
    """Seconds of each of `count` requests, one after the other."""
    times = []
    for turn in range(count):
        start = time.perf_counter()
        client.ask([(seed + turn * 31 + i) % 900 + 10 for i in range(16)], tokens)
        times.append(time.perf_counter() - start)
    return times


def streaming(make, clients, tokens, rounds):
    """Tokens a second of `clients` that stream at once."""
    connections = [make() for _ in range(clients)]

    def run(number):
        for turn in range(rounds):
            connections[number].ask([(number * 37 + turn * 11 + i) % 900 + 10 for i in range(16)], tokens, stream=True)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients * tokens * rounds / (time.perf_counter() - start)


def wrk(url, seconds=3):
    out = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out, out
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=REPOSITORY / "models/base")
    parser.add_argument("--adapter", default=REPOSITORY / "models/adapters/topic")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--build", default=REPOSITORY / ".build/release")
    options = parser.parse_args()
    root = tempfile.mkdtemp(dir=pathlib.Path(options.adapter).resolve().parent.parent)
    for number in range(10_000):
        # Links out of a root are not followed; the files take no room twice.
        os.mkdir(f"{root}/a{number:05}")
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            os.link(pathlib.Path(options.adapter).resolve() / name, f"{root}/a{number:05}/{name}")
    http_port, line_port = free_port(), free_port()
    server = subprocess.Popen(
        [f"{options.build}/dora-serve", "--model", options.model, "--adapter", f"x={options.adapter}", "--adapter-root", root,
         "--http", f"tcp:127.0.0.1:{http_port}", "--listen", f"tcp:127.0.0.1:{line_port}", "--log-level", "error",
         "--max-sequences", "32"], stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                lines, requests = Lines(line_port), Requests(http_port)
                break
            except OSError:
                time.sleep(0.2)
        kinds = {"lines": lines, "http": requests}
        alone = {kind: [] for kind in kinds}
        for round_ in range(options.rounds):
            for kind, client in kinds.items():
                alone[kind] += one_client(client, options.requests // options.rounds, 4, round_ * 1000)
        p50 = {kind: statistics.median(times) * 1e3 for kind, times in alone.items()}
        print(f"one client, 16 + 4 tokens, p50: lines {p50['lines']:.2f} ms, HTTP {p50['http']:.2f} ms, "
              f"more by {p50['http'] - p50['lines']:.2f} ms")
        ratios = []
        for round_ in range(options.rounds):
            order = [("lines", lambda: Lines(line_port)), ("http", lambda: Requests(http_port))]
            rates = {}
            for kind, make in order if round_ % 2 else reversed(order):
                rates[kind] = streaming(make, 32, options.tokens, 2)
            ratios.append(rates["http"] / rates["lines"])
            print(f"32 streaming clients: lines {rates['lines']:.0f}, HTTP {rates['http']:.0f} tokens/s, {ratios[-1]:.3f}")
        print(f"32 streaming clients, HTTP ÷ lines: median {statistics.median(ratios):.3f}")
        if shutil.which("wrk"):
            print(f"/health: {wrk(f'http://127.0.0.1:{http_port}/health'):.0f} requests/s")
        times = []
        for _ in range(6):
            connection = http.client.HTTPConnection("127.0.0.1", http_port)
            start = time.perf_counter()
            connection.request("GET", "/v1/models")
            count = len(json.loads(connection.getresponse().read())["data"])
            times.append((time.perf_counter() - start) * 1e3)
        print(f"/v1/models, {count} models: first {times[0]:.0f} ms, then {statistics.median(times[1:]):.0f} ms")
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(root)


main()
