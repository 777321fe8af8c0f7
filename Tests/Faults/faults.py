"""Ill-treats dora-serve for a minute or two while well-behaved clients of both protocols work:  python3 Tests/Faults/faults.py [SECONDS]

Slow readers, half-sent lines, garbage at full speed for SECONDS, clients killed in the middle, a truncated adapter under
the root, 10,000 connections, SIGTERM under load. Fails if the server crashes, leaks files or memory, or if a well-behaved
client sees an error or other bytes than before. Only talks to a server of its own on a loopback port.
"""
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.join(HERE, "../..")
BUILD = f"{REPOSITORY}/.build/{os.environ.get('CONFIGURATION', 'release')}"
PROMPT = ("Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\n"
          "Input: Tarnholt Foods raises its full-year profit guidance\nAnswer: ")


class Server:
    def __init__(self, root):
        self.process = subprocess.Popen(
            [f"{BUILD}/dora-serve", "--adapter-root", root, "--listen", "tcp:127.0.0.1:0",
             "--http", "tcp:127.0.0.1:0", "--log-level", "error", "--max-connections", "20000"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.http_port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def connect(self, port=None):
        return socket.create_connection(("127.0.0.1", port or self.port))

    def ask(self, **request):
        with self.connect() as connection:
            send(connection, **request)
            return json.loads(connection.makefile().readline())

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def send(connection, **request):
    connection.sendall((json.dumps(request) + "\n").encode())


def post(connection, **request):
    body = json.dumps(request).encode()
    connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(body) + body)


class WellBehaved(threading.Thread):
    """Asks all the time, and remembers the bits of every answer."""
    answers, count, wrong, stop = {}, 0, [], False

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.random = server, random.Random(seed)

    def run(self):
        self.connection = self.server.connect()
        self.replies = self.connection.makefile()
        while not WellBehaved.stop:
            key = (self.random.choice([None, "sentiment", "topic"]), self.random.randrange(5))
            reply, tokens, logprobs = self.ask(PROMPT + " " * key[1], key[0])
            answer = (tokens, logprobs)
            if "error" in reply or WellBehaved.answers.setdefault(key, answer) != answer:
                WellBehaved.wrong.append(reply)
            WellBehaved.count += 1

    def ask(self, prompt, adapter):
        send(self.connection, id=1, prompt=prompt, adapter=adapter, max_tokens=12, logprobs=0, ignore_eos=True)
        reply = json.loads(self.replies.readline())
        return reply, reply.get("token_ids"), [token["logprob"] for token in reply.get("logprobs", [])]


class WellBehavedOverHTTP(WellBehaved):
    """Gets the same answers."""

    def ask(self, prompt, adapter):
        if not hasattr(self, "http"):
            self.http = http.client.HTTPConnection("127.0.0.1", self.server.http_port)
        self.http.request("POST", "/v1/completions", json.dumps(dict(
            prompt=prompt, model=adapter or "base", max_tokens=12, logprobs=0, ignore_eos=True, return_token_ids=True)),
            {"Content-Type": "application/json"})
        reply = json.loads(self.http.getresponse().read())
        choice = reply.get("choices", [{}])[0]
        return reply, choice.get("token_ids"), choice.get("logprobs", {}).get("token_logprobs")


def slow_readers(server):
    connections = []
    for _ in range(10):
        connection = server.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for number in range(20):
            send(connection, id=number, prompt=PROMPT, max_tokens=100, ignore_eos=True, stream=True, logprobs=20)
        connections.append(connection)
        connection = server.connect(server.http_port)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        post(connection, prompt=PROMPT, max_tokens=900, ignore_eos=True, stream=True, logprobs=20)
        connections.append(connection)
    return connections


def garbage(server):
    end, lines = time.time() + SECONDS, 0
    while time.time() < end:
        try:
            with server.connect(random.choice([server.port, server.http_port])) as connection:
                connection.sendall(random.choice([b"", b"POST /v1/completions HTTP/1.1\r\n"]))
                for _ in range(50):
                    noise = os.urandom(random.randrange(1, 2000)).replace(b"\0", b"\n")
                    connection.sendall(noise + b'\n{"id":1,"op":' + os.urandom(5) + b"}\n")
                    lines += noise.count(b"\n") + 2
        except OSError:
            pass
    return lines


def killed_clients(server):
    for _ in range(10):
        client = subprocess.Popen([sys.executable, "-c", f"""
import json, socket, time
connection = socket.create_connection(("127.0.0.1", {server.port}))
for number in range(5):
    connection.sendall((json.dumps(dict(id=number, prompt="a", max_tokens=900, ignore_eos=True, stream=True)) + "\\n").encode())
time.sleep(60)"""])
        time.sleep(0.2)
        client.kill()
        client.wait()


def many_connections(server):
    for number in range(10_000):
        connection = server.connect(server.http_port if number % 2 else None)
        if number % 3 == 0:
            connection.sendall(b"hello\n")
        if number % 7 == 0:
            post(connection, prompt="a", max_tokens=900, ignore_eos=True, stream=number % 2 == 0)
        if number % 5 == 0:  # a reset instead of an end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()


def end_under_load(server):
    ends = []

    def last():
        connection = server.connect()
        send(connection, id=1, prompt=PROMPT, max_tokens=500, ignore_eos=True)
        ends.append(json.loads(connection.makefile().readline()).get("finish_reason"))

    def last_over_http():
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port)
        connection.request("POST", "/v1/completions", json.dumps(
            dict(prompt=PROMPT, model="base", max_tokens=500, ignore_eos=True)), {"Content-Type": "application/json"})
        ends.append(json.loads(connection.getresponse().read())["choices"][0]["finish_reason"])

    threads = [threading.Thread(target=last) for _ in range(8)]
    threads += [threading.Thread(target=last_over_http) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    WellBehaved.stop = True
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    return ends, server.process.wait(40)


def main():
    folder = tempfile.mkdtemp()
    for name in ("sentiment", "topic"):
        shutil.copytree(f"{REPOSITORY}/models/adapters/{name}", f"{folder}/{name}")
    server = Server(folder)
    try:
        clients = [WellBehaved(server, seed) for seed in range(3)] + [WellBehavedOverHTTP(server, seed) for seed in range(3, 5)]
        for client in clients:
            client.start()
        time.sleep(2)
        memory, files = server.memory(), server.files()
        slow = slow_readers(server)
        half = [server.connect() for _ in range(100)]
        for connection in half:
            connection.sendall(b'{"id":1,"prompt":"abc')
        for number in range(100):
            half.append(server.connect(server.http_port))
            half[-1].sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"[: 20 + number])
        print("garbage lines:", garbage(server))
        shutil.copytree(f"{folder}/topic", f"{folder}/broken")
        os.truncate(f"{folder}/broken/adapter_model.safetensors", 1000)
        broken = server.ask(prompt="a", adapter="broken")["error"]["code"]
        print("truncated adapter:", broken)
        killed_clients(server)
        for connection in slow + half:
            connection.close()
        many_connections(server)
        deadline = time.time() + 60
        while server.files() > files + 5 and time.time() < deadline:
            time.sleep(1)
        print(f"memory: {memory} kB, then {server.memory()} kB; files: {files}, then {server.files()}")
        print(f"well-behaved: {WellBehaved.count} answers, {len(WellBehaved.wrong)} wrong", *WellBehaved.wrong[:2])
        failed = [broken != "adapter_refused", server.files() > files + 5, server.memory() > 2 * memory + 50_000,
                  WellBehaved.wrong, WellBehaved.count < 20]
        ends, status = end_under_load(server)
        print("SIGTERM under load:", ends, "exit status", status)
        if any(failed) or set(ends) != {"length"} or status != 0:
            sys.exit("FAILED")
    finally:
        server.process.kill()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
