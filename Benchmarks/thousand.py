"""A thousand adapters on one base:  python3 Benchmarks/thousand.py MODEL ADAPTER [--count 1000]

MODEL and ADAPTER are folders, as random_model.py makes them. A server gets COUNT names for the adapter, each of which it
reads and holds on its own, factored; then 16 clients ask 16+16 tokens at a time of names drawn at random, with prompts that
share no beginning, and the same of a single name, in turn: once with room for all of them, once with room for a tenth, so
that most requests load their adapter first. Standard library only.
"""
import argparse, os, random, re, shutil, statistics, subprocess, tempfile, threading, time

from serving import Client

CLIENTS, PROMPT, NEW = 16, 16, 16


def resident(process):
    """Bytes of memory that are the server's, files that it maps left out."""
    with open(f"/proc/{process.pid}/status") as file:
        return 1024 * int(re.search(r"RssAnon:\s+(\d+)", file.read())[1])


def rate(path, names, requests, chance):
    """Tokens a second, of answers."""
    todo = [(chance.choice(names), [chance.randrange(10, 30000) for _ in range(PROMPT)]) for _ in range(requests)]

    def run():
        client = Client(path)
        while todo:
            try:
                name, ids = todo.pop()
            except IndexError:
                return
            client.ask(token_ids=ids, adapter=name, max_tokens=NEW, ignore_eos=True)

    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return requests * NEW / (time.perf_counter() - start)


def serve(args, root, folder, memory):
    path = f"{folder}/socket"
    command = [f"{args.bin}/dora-serve", "--model", args.model, "--adapter-root", root, "--adapter-form", "factored",
               "--memory", memory, "--speculate", "off", "--listen", f"unix:{path}", "--log-level",
               "error"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    server.stdout.readline()
    return server, path


def rounds(args, path, names, title):
    chance, ratios, rates = random.Random(1), [], []
    for _ in range(args.rounds):
        one = rate(path, names[:1], args.requests, chance)
        many = rate(path, names, args.requests, chance)
        ratios.append(many / one)
        rates.append((many, one))
    many, one = (statistics.median(pair[i] for pair in rates) for i in range(2))
    print(f"{title}: {many:.1f} tokens/s; one adapter {one:.1f}; ratio {statistics.median(ratios):.3f} "
          f"({min(ratios):.3f}–{max(ratios):.3f}, {args.rounds} rounds of {args.requests} requests)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("adapter")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(__file__), "../.build/release"))
    args = parser.parse_args()
    folder = tempfile.mkdtemp()
    names = [f"a{number:04}" for number in range(args.count)]
    for name in names:
        os.makedirs(f"{folder}/root/{name}")
        for file in os.listdir(args.adapter):
            os.symlink(os.path.abspath(f"{args.adapter}/{file}"), f"{folder}/root/{name}/{file}")
    try:
        server, path = serve(args, f"{folder}/root", folder, "20GiB")
        control, before, start = Client(path), resident(server), time.perf_counter()
        for name in names:
            control.ask(op="load", name=name)
        seconds = time.perf_counter() - start
        held = sum(adapter["bytes"] for adapter in control.ask(op="adapters")["result"]["adapters"])
        print(f"{args.count} adapters: {(resident(server) - before) / 1e9:.2f} GB beside the base ({held / 1e9:.2f} GB "
              f"charged), {1e3 * seconds / args.count:.1f} ms to load one", flush=True)
        rounds(args, path, names, "all resident")
        server.terminate()
        server.wait()
        server, path = serve(args, f"{folder}/root", folder, str(held // 10))
        rounds(args, path, names, "room for a tenth")
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
