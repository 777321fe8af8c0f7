"""What a shared beginning saves:  python3 Benchmarks/prefixes.py MODEL [ADAPTER] [--before DORA_SERVE] [--out FILE]

MODEL and ADAPTER are folders, as random_model.py makes them. Classification: prompts of a task begin with the same
instruction (25 tokens), go on differently (30), and are answered with a word and an end (2 tokens), one after another. Against
them stand prompts that differ from their first token on, which is what reuse of whole blocks of 64 makes of them; or, with
--before, the same prompts asked of an older program, whose answers must be the same. They take turns, five at a time. Needs
only the standard library.
"""
import argparse, json, os, shutil, socket, statistics, subprocess, sys, tempfile, time

SHARED, OWN, ANSWER, EACH = 25, 30, 2, 5


class Server:
    def __init__(self, program, args):
        self.folder = tempfile.mkdtemp()
        path, root = f"{self.folder}/socket", f"{self.folder}/root"
        os.mkdir(root)
        if args.adapter:
            shutil.copytree(args.adapter, f"{root}/task")
        self.adapter = "task" if args.adapter else None
        self.process = subprocess.Popen(
            [program, "--model", args.model, "--adapter-root", root, "--listen", f"unix:{path}", "--log-level", "error",
             *args.options], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("r")

    def ask(self, tokens):
        request = dict(id=1, token_ids=tokens, adapter=self.adapter, max_tokens=ANSWER, ignore_eos=True, logprobs=1)
        self.socket.sendall((json.dumps(request) + "\n").encode())
        reply = json.loads(self.file.readline())
        if "error" in reply:
            sys.exit(f"the server says {reply['error']}")
        return reply

    def run(self, prompts):
        """Seconds for all, the answers, and how many tokens of each prompt were known."""
        start = time.perf_counter()
        replies = [self.ask(prompt) for prompt in prompts]
        seconds = time.perf_counter() - start
        return seconds, [(r["token_ids"], r["logprobs"]) for r in replies], [r["usage"]["cached_tokens"] for r in replies]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


def tokens(seed, count):
    return [(seed * 7919 + i * 104729) % 30000 + 10 for i in range(count)]


def prompt(number, is_shared):
    # Of those that share nothing, the first token is one that no other has.
    beginning = tokens(1, SHARED) if is_shared else [40 + number, *tokens(number + 3, SHARED - 1)]
    return beginning + tokens(number + 1000, OWN)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("adapter", nargs="?")
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(__file__), "../.build/release"))
    parser.add_argument("--before", help="an older dora-serve")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--options", nargs="*", default=[], help="of the servers")
    parser.add_argument("--out", help="a file for the figures (JSON)")
    args = parser.parse_args()
    servers = [Server(f"{args.bin}/dora-serve", args)]
    servers.append(Server(args.before, args) if args.before else servers[0])
    now, before, known = [], [], []
    try:
        for server in servers:
            server.ask(prompt(20_000, is_shared=True))  # the instruction is known, the adapter merged
        for start in range(0, args.prompts, EACH):
            numbers = range(start, min(start + EACH, args.prompts))
            alike = [prompt(number, is_shared=True) for number in numbers]
            others = alike if args.before else [prompt(number, is_shared=False) for number in numbers]
            seconds, answers, cached = servers[0].run(alike)
            now.append(seconds)
            known += cached
            seconds, expected, cached = servers[1].run(others)
            before.append(seconds)
            if max(cached) >= SHARED and not args.before:
                sys.exit("prompts that should share nothing do")
            if args.before and answers != expected:
                sys.exit("the answers differ")
    finally:
        for server in set(servers):
            server.stop()
    result = dict(prompts=args.prompts, cached_tokens=statistics.median(known), seconds=sum(now), before_seconds=sum(before),
                  ratio=statistics.median(b / n for n, b in zip(now, before)))
    print(f"{args.prompts} prompts of {SHARED} + {OWN} tokens, {result['cached_tokens']:.0f} of each known: "
          f"{sum(now):.1f} s; {'before' if args.before else 'nothing shared'} {sum(before):.1f} s; "
          f"{result['ratio']:.2f} times as fast")
    if args.out:
        with open(args.out, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
