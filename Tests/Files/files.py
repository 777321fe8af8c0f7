"""Kills dora-generate --jsonl again and again, and compares what it leaves with an undisturbed run:
    python3 Tests/Files/files.py [REQUESTS] [--build debug]

REQUESTS requests of both kinds over five adapters, killed ten times at random and resumed, with a model of its own and
over a socket; bad lines, outputs of other requests, a server that goes away, Ctrl-C. Fails if a byte differs. Then it says
how fast the same requests are over the socket, by a client in this script.
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.normpath(os.path.join(HERE, "../.."))
BUILD = f"{REPOSITORY}/.build/" + (sys.argv[sys.argv.index("--build") + 1] if "--build" in sys.argv else "release")
REQUESTS = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 5000
GENERATE = f"{BUILD}/dora-generate"
NAMES = ["one", "two", "three", "four", "five"]
PROMPT = ("Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\n"
          "Input: %s\nAnswer: ")
BAD = [b"no JSON", b'{"id": 1, "prompt": "\xff"}', b'{"prompt": "a", "id": [1]}', b'{"op": "drain"}', b"[1, 2]", b'{"prompt": 1}',
       b'{"id": "cut", "prompt": "', b"\0\0\0", b'{"prompt": "a", "adapter": "nobody"}', b'{"id": "x", "prompt": "a", "adapter": "broken"}',
       b'{"custom_id": 1, "url": "/v1/completions", "body": {}}', b'{"custom_id": "n", "url": "/v1/nothing", "body": {}}']


def adapters(folder):
    """Five of different contents, and one that does not load."""
    for number, name in enumerate(NAMES):
        shutil.copytree(f"{REPOSITORY}/models/adapters/{['sentiment', 'topic'][number % 2]}", f"{folder}/{name}")
        path = f"{folder}/{name}/adapter_config.json"
        with open(path) as file:
            configuration = json.load(file)
        configuration["lora_alpha"] += number
        with open(path, "w") as file:
            json.dump(configuration, file)
    shutil.copytree(f"{folder}/one", f"{folder}/broken")
    os.truncate(f"{folder}/broken/adapter_model.safetensors", 1000)


def request(number, rng):
    text = PROMPT % " ".join(rng.choice(["profit", "loss", "merger", "court", "Tarnholt", "Geneva"]) for _ in range(rng.randrange(1, 20)))
    adapter = rng.choice(NAMES)
    match rng.randrange(8):
        case 0: return {"id": f"s{number}", "prompt": text, "adapter": adapter, "continuations": ["negative", "positive"]}
        case 1: return {"id": f"c{number}", "prompt": text, "adapter": adapter, "choices": ["negative", "neutral", "positive"]}
        case 2: return {"id": number, "prompt": text, "adapter": adapter, "max_tokens": 20, "ignore_eos": True, "logprobs": 2}
        case 3: return {"prompt": text, "max_tokens": 2, "adapter": None, "stream": True}
        case 4: return {"custom_id": f"b{number}", "method": "POST", "url": "/v1/completions",
                        "body": {"model": adapter, "prompt": [text, text + "the"], "max_tokens": 3, "logprobs": 1}}
        case _: return {"id": "same", "prompt": text, "adapter": adapter, "max_tokens": rng.randrange(1, 12)}


def requests(path, count, bad=True):
    rng = random.Random(1)
    with open(path, "wb") as file:
        for number in range(count):
            if bad and number % 97 == 5:
                file.write(BAD[number // 97 % len(BAD)] + b"\r\n\n")
            file.write(json.dumps(request(number, rng)).encode() + b"\n")


class Server:
    def __init__(self, folder, *options):
        self.process = subprocess.Popen(
            [f"{BUILD}/dora-serve", "--model", f"{REPOSITORY}/models/base", "--adapter-root", folder, "--listen",
             "tcp:127.0.0.1:0", "--log-level", "error", *options], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.options = ["--connect", f"tcp:127.0.0.1:{self.port}"]

    def stop(self):
        self.process.kill()
        self.process.wait()


def run(arguments, **options):
    return subprocess.run([GENERATE, *arguments], stderr=subprocess.PIPE, **options)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def killed(options, path, answers, duration, count=10):
    """Runs of random length until one comes to its end."""
    rng, kills = random.Random(2), 0
    while True:
        process = subprocess.Popen([GENERATE, *options, "--jsonl", path, "-o", answers, "--resume"], stderr=subprocess.PIPE)
        if kills < count:
            size = os.path.getsize(answers) if os.path.exists(answers) else 0
            begin = time.time()
            while (os.path.getsize(answers) if os.path.exists(answers) else 0) == size and process.poll() is None and time.time() < begin + 60:
                time.sleep(0.01)
            time.sleep(rng.random() * duration / count)
            process.kill()
            kills += 1
            process.wait()
            continue
        errors = process.stderr.read().decode()
        assert process.wait() == 0, errors
        return kills


def check(condition, text):
    print("ok  " if condition else "FAILED", text, flush=True)
    if not condition:
        sys.exit(1)


def resumed(name, options, path, folder, reference):
    answers = f"{folder}/{name}.jsonl"
    begin = time.time()
    done = run([*options, "--jsonl", path, "-o", answers])
    duration = time.time() - begin
    check(done.returncode == 0, f"{name}: {REQUESTS} requests in {duration:.1f} s {done.stderr.decode()[:300]}")
    if reference:
        check(content(answers) == reference, f"{name}: the same bytes as elsewhere")
    killed(options, path, f"{folder}/{name}-killed.jsonl", duration)
    check(content(f"{folder}/{name}-killed.jsonl") == content(answers), f"{name}: killed ten times, the same bytes")
    return content(answers)


def refusals(options, path, folder):
    answers = f"{folder}/refused.jsonl"
    lines = content(path).split(b"\n")
    few = f"{folder}/few.jsonl"
    with open(few, "wb") as file:
        file.write(b"\n".join(lines[:20]) + b"\n")
    check(run([*options, "--jsonl", few, "-o", answers]).returncode == 0, "a small file")
    whole = content(answers)
    again = run([*options, "--jsonl", few, "-o", answers])
    check(again.returncode == 73 and b"--resume" in again.stderr and content(answers) == whole, "an output that is there is refused")
    check(run([*options, "--jsonl", few, "-o", answers, "--resume"]).returncode == 0 and content(answers) == whole, "nothing is left to do")
    with open(answers, "ab") as file:
        file.write(b'{"done":true,"id":"half')
    check(run([*options, "--jsonl", few, "-o", answers, "--resume"]).returncode == 0 and content(answers) == whole, "a half line is dropped")
    other = f"{folder}/other.jsonl"
    with open(other, "wb") as file:
        file.write(b"\n".join(reversed(lines[:20])) + b"\n")
    strange = run([*options, "--jsonl", other, "-o", answers, "--resume"])
    check(strange.returncode == 73 and b"belongs" in strange.stderr and content(answers) == whole, "another file's answers are refused")
    piped = run([*options, "--jsonl", "-"], input=content(few), stdout=subprocess.PIPE)
    check(piped.stdout == whole, "from a pipe to a pipe")
    for option in (["--prompt", "a"], ["--json"], ["--stop", "x"], ["--chat"], ["--max-tokens", "3"]):
        refused = run([*options, "--jsonl", few, *option])
        check(refused.returncode == 64 and option[0].encode() in refused.stderr, f"{option[0]} is refused by name")
    check(run([*options, "--jsonl", few, "--resume"]).returncode == 64, "--resume needs --output")


def hostile(options, folder):
    path = f"{folder}/hostile.jsonl"
    with open(path, "wb") as file:
        file.write(b'{"id":"long","prompt":"' + b"a" * 100_000_000 + b'"}\n')
        file.write(b"\xff\xfe\0\n" + b'{"id":"last","prompt":"a","max_tokens":1}')
    process = subprocess.Popen([GENERATE, *options, "--jsonl", path], stdout=subprocess.PIPE)
    answers = [json.loads(line) for line in process.stdout]
    _, status, usage = os.wait4(process.pid, 0)
    codes = [answer.get("error", {}).get("code") for answer in answers]
    check(status == 0 and codes == ["line_too_long", "bad_json", None] and answers[0]["id"] == 1 and answers[2]["id"] == "last",
          f"a line of 100 MB, no UTF-8, no end: {codes}")
    check(usage.ru_maxrss < 400_000, f"in {usage.ru_maxrss // 1000} MB")
    batch = run([*options, "--jsonl", "-"], input=b'oops\n{"custom_id":"a","url":"/v1/nothing","body":{}}\n', stdout=subprocess.PIPE)
    found = [json.loads(line) for line in batch.stdout.splitlines()]
    check(found[0]["id"] == "batch_req_1" and found[0]["response"] is None and found[0]["error"]["code"] == "bad_json"
          and found[1]["response"]["status_code"] == 404 and found[1]["custom_id"] == "a", "a bad line speaks as its file does")


def interrupted(options, path, folder, reference):
    answers = f"{folder}/interrupted.jsonl"
    process = subprocess.Popen([GENERATE, *options, "--jsonl", path, "-o", answers], stderr=subprocess.PIPE)
    while not os.path.exists(answers) or os.path.getsize(answers) == 0:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    errors = process.stderr.read()
    check(process.wait() == 130 and b"--resume" in errors, f"Ctrl-C: {errors.decode().strip()}")
    check(content(answers).endswith(b"\n") and reference.startswith(content(answers)), "Ctrl-C leaves whole lines")


def lost(folder, path, reference):
    server = Server(folder + "/adapters")
    answers = f"{folder}/lost.jsonl"
    process = subprocess.Popen([GENERATE, *server.options, "--jsonl", path, "-o", answers], stderr=subprocess.PIPE)
    while not os.path.exists(answers) or os.path.getsize(answers) == 0:
        time.sleep(0.02)
    server.stop()
    errors = process.stderr.read()
    check(process.wait() == 69 and b"--resume" in errors, f"the server goes away: {errors.decode().strip()}")
    check(content(answers).endswith(b"\n") and reference.startswith(content(answers)), "that leaves whole lines")


def over_the_socket(server, path, in_flight=60):
    """Seconds for the same requests, as many in flight as the server takes."""
    lines = [json.loads(line) for line in content(path).splitlines()]
    lines = [{"op": "openai", "url": line["url"], "body": line["body"]} if "url" in line else line for line in lines]
    begin = time.time()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        replies = connection.makefile()
        sent = done = 0
        while done < len(lines):
            while sent < len(lines) and sent - done < in_flight:
                line = dict(lines[sent], id=sent)
                line.pop("stream", None)
                connection.sendall((json.dumps(line) + "\n").encode())
                sent += 1
            assert "error" not in json.loads(replies.readline())
            done += 1
    return time.time() - begin


def throughput(local, path, folder, rounds=5):
    """Each run begins with a process of its own: what earlier ones have merged and remembered would be a gift."""
    empty = f"{folder}/empty.jsonl"
    with open(empty, "w") as file:
        file.write('{"prompt":"a","max_tokens":1}\n')

    def seconds(options, path):
        begin = time.time()
        run([*options, "--jsonl", path], stdout=subprocess.DEVNULL)
        return time.time() - begin

    def with_server(measure):
        server = Server(f"{folder}/adapters")
        try:
            over_the_socket(server, empty)
            return measure(server)
        finally:
            server.stop()

    ratios = {"--jsonl --connect": [], "--jsonl": []}
    for _ in range(rounds):
        socket = with_server(lambda server: over_the_socket(server, path))
        ratios["--jsonl --connect"].append(with_server(lambda server: seconds(server.options, path)) / socket)
        ratios["--jsonl"].append((seconds(local, path) - seconds(local, empty)) / socket)
        print(f"      a client of the socket: {socket:.2f} s; " + ", ".join(f"{name}: {values[-1]:.3f} of it" for name, values in ratios.items()), flush=True)
    for name, values in ratios.items():
        print(f"      {name}: {sorted(values)[rounds // 2]:.3f} of it in the median")


def main():
    folder = tempfile.mkdtemp()
    os.mkdir(f"{folder}/adapters")
    adapters(f"{folder}/adapters")
    path, good = f"{folder}/requests.jsonl", f"{folder}/good.jsonl"
    requests(path, REQUESTS)
    requests(good, REQUESTS, bad=False)
    local = ["--model", f"{REPOSITORY}/models/base", "--adapter-root", f"{folder}/adapters"]
    server = Server(f"{folder}/adapters")
    try:
        reference = resumed("local", local, path, folder, None)
        resumed("connect", server.options, path, folder, reference)
        for options in (local, server.options):
            refusals(options, path, tempfile.mkdtemp(dir=folder))
            hostile(options, tempfile.mkdtemp(dir=folder))
            interrupted(options, path, tempfile.mkdtemp(dir=folder), reference)
        lost(folder, path, reference)
        server.stop()
        throughput(local, good, folder)
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
