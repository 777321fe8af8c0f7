"""Throughput and latency of dora-serve:  python3 Benchmarks/serving.py MODEL ADAPTER [--out FOLDER]

MODEL and ADAPTER are folders, as random_model.py makes them. The server runs with eight copies of the adapter under
eight names: each is merged on its own, so that they share nothing but what an adapter leaves alone. Needs only the
standard library. Variants alternate within each round; reported are medians, also of the rounds' ratios.
"""
import argparse, json, os, shutil, socket, statistics, subprocess, sys, tempfile, threading, time

TOKENS, PROMPT = 48, 16


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("r")

    def send(self, **request):
        self.socket.sendall((json.dumps(request) + "\n").encode())

    def reply(self):
        reply = json.loads(self.file.readline())
        if "error" in reply:
            sys.exit(f"the server says {reply['error']}")
        return reply

    def ask(self, **request):
        self.send(id=1, **request)
        return self.reply()


def prompt(seed, length):
    return [(seed * 7919 + i * 104729) % 30000 + 10 for i in range(length)]


def batch(path, adapters, seed):
    """Decode step time (s) of one request per entry of `adapters`, all at once."""
    clients = [Client(path) for _ in adapters]
    for i, (client, adapter) in enumerate(zip(clients, adapters)):
        client.send(id=1, token_ids=prompt(seed * 100 + i, PROMPT), adapter=adapter, max_tokens=TOKENS, ignore_eos=True)
    replies = [client.reply() for client in clients]
    return statistics.median(r["timing"]["decode"] / (TOKENS - 1) for r in replies)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def streams(path, count, adapters, requests=3, length=128, new=32, disturb=None, base=0):
    """Times to first token and between tokens (s), `count` clients at once; prompts are seeded from `base` on."""
    first, between, lock = [], [], threading.Lock()

    def run(number):
        client = Client(path)
        for turn in range(requests):
            start = last = time.perf_counter()
            client.send(id=1, token_ids=prompt(base + number * 50 + turn, length), adapter=adapters[number % len(adapters)],
                        max_tokens=new, ignore_eos=True, stream=True)
            gaps = []
            while True:
                line = client.reply()
                now = time.perf_counter()
                if line.get("done"):
                    break
                gaps.append(now - last)
                last = now
            with lock:
                first.append(gaps[0] if gaps else now - start)
                between.extend(gaps[1:])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    if disturb:
        while any(thread.is_alive() for thread in threads):
            disturb()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    return {"first_p50": percentile(first, .5), "first_p99": percentile(first, .99),
            "between_p50": percentile(between, .5), "between_p99": percentile(between, .99),
            "tokens_per_second": count * requests * new / seconds}


def bandwidth(programs):
    """Bytes a second that two threads read, as the other benchmarks measure it."""
    done = subprocess.run([f"{programs}/dora-bench"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["limits"]["readBytesPerSecond"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("adapter")
    parser.add_argument("--out", help="folder for serving.json and serving.md")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(__file__), "../.build/release"))
    args = parser.parse_args()
    folder = tempfile.mkdtemp()
    names = [f"a{i}" for i in range(8)]
    for name in names:
        shutil.copytree(args.adapter, f"{folder}/root/{name}")
    path = f"{folder}/socket"
    server = subprocess.Popen([f"{args.bin}/dora-serve", "--model", args.model, "--adapter-root", f"{folder}/root",
                               "--listen", f"unix:{path}", "--log-level", "error", "--max-sequences", "32"],
                              stdout=subprocess.PIPE)
    result = {}
    try:
        server.stdout.readline()
        control = Client(path)
        start = time.perf_counter()
        for name in names:
            control.ask(op="load", name=name)
        result["load_seconds_each"] = (time.perf_counter() - start) / 8
        listed = control.ask(op="adapters")["result"]["adapters"]
        result["adapter_bytes"] = listed[0]["bytes"]

        variants = {"base x1": [None], "base x8": [None] * 8, "one adapter x8": [names[0]] * 8, "eight adapters": names}
        times = {variant: [] for variant in variants}
        for turn in range(args.rounds):
            for variant, adapters in variants.items():
                times[variant].append(batch(path, adapters, turn))
        result["step_ms"] = {variant: 1e3 * statistics.median(values) for variant, values in times.items()}
        result["read_gb_s"] = bandwidth(args.bin) / 1e9
        reading = 8 * result["adapter_bytes"] / result["read_gb_s"] / 1e9

        def ratio(variant, extra=0.0):
            return statistics.median((base + extra) / own for base, own in zip(times["base x8"], times[variant]))

        result["of_allowed"] = ratio("eight adapters", reading)
        result["of_base"] = ratio("eight adapters")
        result["one_adapter_of_base"] = ratio("one adapter x8")

        same, swapped = [], []
        for turn in range(40):
            for values, adapter in ((same, names[0]), (swapped, names[turn % 8])):
                start = time.perf_counter()
                reply = control.ask(token_ids=prompt(turn + 5000, PROMPT), adapter=adapter, max_tokens=2, ignore_eos=True)
                values.append((time.perf_counter() - start, sum(reply["timing"].values())))
        result["request_ms_same_adapter"] = 1e3 * statistics.median(v[0] for v in same)
        result["request_ms_swapped"] = 1e3 * statistics.median(v[0] for v in swapped)
        result["socket_ms"] = 1e3 * statistics.median(v[0] - v[1] for v in same + swapped)

        result["latency"] = {str(count): streams(path, count, [None] + names) for count in (1, 8, 32)}
        quiet = streams(path, 4, [None])

        def reload():
            control.ask(op="unload", name=names[7])
            control.ask(op="load", name=names[7])

        merging = streams(path, 4, [None], disturb=reload)
        result["between_ms_quiet"] = 1e3 * quiet["between_p50"]
        result["between_ms_while_merging"] = 1e3 * merging["between_p50"]
        result["between_p99_ms_quiet"] = 1e3 * quiet["between_p99"]
        result["between_p99_ms_while_merging"] = 1e3 * merging["between_p99"]
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)

    step = result["step_ms"]
    lines = ["| decode step | ms | tokens/s |", "|---|---|---|"]
    lines += [f"| {v} | {ms:.1f} | {(1 if v.endswith('x1') else 8) * 1e3 / ms:.1f} |" for v, ms in step.items()]
    lines += ["", f"Eight adapters reach {result['of_allowed']:.2f} of what bytes allow (base step + 8 x "
              f"{result['adapter_bytes'] / 1e6:.0f} MB at {result['read_gb_s']:.1f} GB/s), {result['of_base']:.2f} of "
              f"the base's rate; one adapter {result['one_adapter_of_base']:.3f}."]
    lines += ["", f"A request of 2 tokens: {result['request_ms_same_adapter']:.1f} ms with the adapter of the last one, "
              f"{result['request_ms_swapped']:.1f} ms with another. The socket adds {result['socket_ms']:.2f} ms. "
              f"Loading an adapter: {result['load_seconds_each']:.2f} s.",
              "", "| clients | first token p50 | p99 | between tokens p50 | p99 | tokens/s |", "|---|---|---|---|---|---|"]
    lines += [f"| {n} | {1e3 * v['first_p50']:.0f} ms | {1e3 * v['first_p99']:.0f} ms | {1e3 * v['between_p50']:.0f} ms "
              f"| {1e3 * v['between_p99']:.0f} ms | {v['tokens_per_second']:.0f} |" for n, v in result["latency"].items()]
    lines += ["", f"Between tokens of 4 streams: {result['between_ms_quiet']:.0f} ms (p99 "
              f"{result['between_p99_ms_quiet']:.0f}), while adapters are merged without pause "
              f"{result['between_ms_while_merging']:.0f} ms (p99 {result['between_p99_ms_while_merging']:.0f})."]
    print("\n".join(lines))
    if args.out:
        with open(f"{args.out}/serving.json", "w") as file:
            json.dump(result, file, indent=1)
        with open(f"{args.out}/serving.md", "w") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
