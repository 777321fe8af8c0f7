"""Time to first token and between tokens:  python3 Benchmarks/latency.py MODEL [--out FILE]

MODEL is a folder as random_model.py makes them. 1, 8 and 32 clients at once stream 32 tokens behind prompts of 16, 128 and
1,000 tokens that share nothing, one request after the other, so that prompts arrive while others decode. Beside one client
stands what dora-bench needs for such a prompt: the rest is the way to the first token. Standard library only.
"""
import argparse, json, os, statistics, subprocess, tempfile

from serving import Client, streams

LENGTHS, CLIENTS, NEW, PROMPT_TOKENS = (16, 128, 1000), (1, 8, 32), 32, 40_000


def computing(args):
    """Seconds for a prompt and nothing else, by its length."""
    done = subprocess.run([f"{args.bin}/dora-bench", "--model", args.model, "--prefills", ",".join(map(str, LENGTHS)),
                           "--batches", "1", "--contexts", "0", "--rounds", "1", "--steps", "2", "--prefill-repeats", "5"],
                          capture_output=True, text=True, check=True)
    return {row["tokens"]: row["tokens"] / row["tokensPerSecond"] for row in json.loads(done.stdout)["prefill"]
            if row["weights"] == "base"}


def measured(args):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        server = subprocess.Popen([f"{args.bin}/dora-serve", "--model", args.model, "--listen", f"unix:{path}", "--log-level",
                                   "error", "--max-sequences", "32"], stdout=subprocess.PIPE)
        try:
            server.stdout.readline()
            Client(path).ask(token_ids=[11, 12, 13], max_tokens=4)
            for length in LENGTHS:
                for clients in CLIENTS:
                    requests = max(1, min(8, PROMPT_TOKENS // (clients * length)))
                    # Else a later round would find the prompts of an earlier one.
                    rounds = [streams(path, clients, [None], requests, length, NEW, base=10_000 * (1 + turn))
                              for turn in range(args.rounds)]
                    yield dict(length=length, clients=clients, requests=requests,
                               **{key: statistics.median(r[key] for r in rounds) for key in rounds[0]})
        finally:
            server.terminate()
            server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out")
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(__file__), "../.build/release"))
    args = parser.parse_args()
    alone, rows = computing(args), []
    print("| prompt | clients | first token p50, ms | p99 | of which the prompt | between tokens p50, ms | p99 | p99 ÷ p50 "
          "| tokens/s |\n|---|---|---|---|---|---|---|---|---|")
    for row in measured(args):
        share = f"{alone[row['length']] / row['first_p50']:.2f}" if row["clients"] == 1 else ""
        print(f"| {row['length']} | {row['clients']} | {1e3 * row['first_p50']:.0f} | {1e3 * row['first_p99']:.0f} | {share} "
              f"| {1e3 * row['between_p50']:.0f} | {1e3 * row['between_p99']:.0f} "
              f"| {row['between_p99'] / row['between_p50']:.1f} | {row['tokens_per_second']:.0f} |", flush=True)
        rows.append(row)
    if args.out:
        with open(args.out, "w") as file:
            json.dump(dict(prompt_seconds=alone, rows=rows), file, indent=1)


if __name__ == "__main__":
    main()
