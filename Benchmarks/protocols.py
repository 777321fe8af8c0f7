"""What HTTP costs over the line protocol:  python3 Benchmarks/protocols.py [--model MODEL] [--adapter ADAPTER]

One server, both protocols, the same requests in turns; medians, and ratios within a round. Needs only the standard
library, and Debian's wrk for the rates. Without a model: the demo model, whose steps take a tenth of a millisecond, so
that everything around them shows.
"""
import argparse, http.client, json, os, pathlib, re, selectors, shutil, socket, statistics, subprocess, tempfile, time

REPOSITORY = pathlib.Path(__file__).parent.parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Lines:
    """Both protocols by the same frugal client: bytes out, bytes in until the mark of an end, nothing taken apart."""
    end, event = b'"done":true', b'"token_ids"'

    @staticmethod
    def request(ids, tokens, stream):
        return json.dumps({"id": 1, "token_ids": ids, "max_tokens": tokens, "ignore_eos": True, "stream": stream}).encode() + b"\n"

    @staticmethod
    def is_over(data):
        return data.endswith(b"\n") and Lines.end in data[data.rfind(b"\n", 0, -1) + 1:]

    is_whole = is_over


class HTTP:
    event = b"data: {"

    @staticmethod
    def request(ids, tokens, stream):
        body = json.dumps({"prompt": ids, "max_tokens": tokens, "ignore_eos": True, "stream": stream}).encode()
        return (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body)) + body

    @staticmethod
    def is_over(data):
        return data.endswith(b"\r\n0\r\n\r\n")

    @staticmethod
    def is_whole(data):
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        return bool(length) and len(body) == int(length[1])


def ask(protocol, connection, ids, tokens):
    connection.sendall(protocol.request(ids, tokens, False))
    data = b""
    while not protocol.is_whole(data):
        data += connection.recv(1 << 16)
    return data


def one_client(protocol, connection, count, tokens, seed):
    """Seconds of each of `count` requests, one after the other."""
    times = []
    for turn in range(count):
        start = time.perf_counter()
        ask(protocol, connection, [(seed + turn * 31 + i) % 900 + 10 for i in range(16)], tokens)
        times.append(time.perf_counter() - start)
    return times


def streaming(protocol, port, clients, tokens):
    """Tokens a second of `clients` that stream at once: one thread that waits for all sockets and counts events."""
    selector = selectors.DefaultSelector()
    connections = [connect(port) for _ in range(clients)]
    last = {connection: b"" for connection in connections}
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ)
    events = 0
    start = time.perf_counter()
    for number, connection in enumerate(connections):
        connection.sendall(protocol.request([(number * 37 + i) % 900 + 10 for i in range(16)], tokens, True))
    while selector.get_map():
        for key, _ in selector.select():
            data = key.fileobj.recv(1 << 18)
            assert data, "the server has gone"
            events += data.count(protocol.event)
            # The end may have come in two pieces, and the last line is long.
            last[key.fileobj] = (last[key.fileobj] + data)[-16384:]
            if protocol.is_over(last[key.fileobj]):
                selector.unregister(key.fileobj)
    seconds = time.perf_counter() - start
    for connection in connections:
        connection.close()
    assert events > clients * tokens / 2, events
    return clients * tokens / seconds


def wrk(url, seconds=3):
    out = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out, out
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=REPOSITORY / "models/base")
    parser.add_argument("--adapter", default=REPOSITORY / "models/adapters/topic")
    parser.add_argument("--tokens", type=int, default=256, help="of each stream: so many that their beginnings, measured apart, count for little")
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
                open_ = {Lines: connect(line_port), HTTP: connect(http_port)}
                break
            except OSError:
                time.sleep(0.2)
        alone = {protocol: [] for protocol in open_}
        for round_ in range(options.rounds):
            for protocol, connection in open_.items():
                alone[protocol] += one_client(
                    protocol, connection, options.requests // options.rounds, 4, round_ * 1000)
        p50 = {protocol: statistics.median(times) * 1e3 for protocol, times in alone.items()}
        print(f"one client, 16 + 4 tokens, p50: lines {p50[Lines]:.2f} ms, HTTP {p50[HTTP]:.2f} ms, "
              f"more by {p50[HTTP] - p50[Lines]:.2f} ms")
        ratios = []
        for round_ in range(options.rounds):
            order = [(Lines, line_port), (HTTP, http_port)]
            rates = {}
            for protocol, port in order if round_ % 2 else reversed(order):
                rates[protocol] = streaming(protocol, port, 32, options.tokens)
            ratios.append(rates[HTTP] / rates[Lines])
            print(f"32 streaming clients: lines {rates[Lines]:.0f}, HTTP {rates[HTTP]:.0f} tokens/s, {ratios[-1]:.3f}")
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
