"""What a request costs a core, by the lengths of prompt and answer:  python3 Benchmarks/capacity.py MODEL ADAPTER

MODEL and ADAPTER are folders, as random_model.py makes them. CLIENTS clients ask at once, each with a prompt that shares
nothing with others and for an adapter of its own (copies of ADAPTER, merged or factored each on its own) or, "one adapter", all for the
same. Counted is the server's processor time, with one thread that never waits, so that neighbours on the machine disturb
little. A line of least squares through all rows says what a token of a prompt and of an answer costs, and how far the
formula is from each row. Standard library only.
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile, threading, time

from serving import Client

LENGTHS = [(32, 1), (128, 1), (128, 16), (128, 64), (384, 1), (384, 32)]


def processor_seconds(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask_at_once(path, adapters, length, new):
    def run(number, adapter):
        ids = [(time.monotonic_ns() // 1000 * 31 + number * 7919 + i * 104729) % 30000 + 10 for i in range(length)]
        Client(path).ask(token_ids=ids, adapter=adapter, max_tokens=new, ignore_eos=True)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(adapters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fit(rows):
    """Seconds a token of prompt and of answer: least squares of the relative errors."""
    a = b = c = d = e = 0.0
    for length, new, seconds in rows:
        x, y = length / seconds, new / seconds
        a, b, c, d, e = a + x * x, b + x * y, c + y * y, d + x, e + y
    determinant = a * c - b * b
    return (c * d - b * e) / determinant, (a * e - b * d) / determinant


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("adapter")
    parser.add_argument("--form", default="merged", choices=["merged", "factored"], help="how the adapters act")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(__file__), "../.build/release"))
    parser.add_argument("--out", help="file for the figures (JSON)")
    args = parser.parse_args()
    folder = tempfile.mkdtemp()
    names = [f"a{i}" for i in range(args.clients)]
    for name in names:
        shutil.copytree(args.adapter, f"{folder}/root/{name}")
    path, result = f"{folder}/socket", {}
    server = subprocess.Popen([f"{args.bin}/dora-serve", "--model", args.model, "--adapter-root", f"{folder}/root",
                               "--adapter-form", args.form, "--listen", f"unix:{path}", "--log-level", "error",
                               "--threads", "1"],
                              stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        control, merges = Client(path), []
        for name in names:
            before = processor_seconds(server)
            control.ask(op="load", name=name)
            merges.append(processor_seconds(server) - before)
        result["merge"] = statistics.median(merges)
        print(f"Loading an adapter, {args.form}: {result['merge']:.2f} s of a core. {args.clients} requests at once.\n")
        for title, adapters in (("one adapter", names[:1] * args.clients), ("an adapter each", names)):
            rows = []
            for length, new in LENGTHS:
                before = processor_seconds(server)
                ask_at_once(path, adapters, length, new)
                rows.append((length, new, (processor_seconds(server) - before) / args.clients))
            read, write = fit(rows)
            result[title] = {"rows": rows, "read": read, "write": write}
            print(f"{title}: {1e3 * read:.2f} ms a token of the prompt, {1e3 * write:.2f} ms a token of the answer\n")
            print("| prompt | answer | s of a core | formula | requests/s a core |\n|---|---|---|---|---|")
            for length, new, seconds in rows:
                said = length * read + new * write
                print(f"| {length} | {new} | {seconds:.3f} | {said:.3f} ({said / seconds - 1:+.0%}) | {1 / seconds:.2f} |")
            print(flush=True)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)
    if args.out:
        with open(args.out, "w") as file:
            json.dump(result, file)


if __name__ == "__main__":
    main()
