"""A dora-serve of the tests' own: the demo model with its two adapters, over HTTP and over lines."""
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.request

import pytest

HERE = pathlib.Path(__file__).parent
REPOSITORY = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("DORA_BUILD", REPOSITORY / ".build/release"))
HEADLINE = "Tarnholt Foods raises its full-year profit guidance"
PROMPT = (
    "Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\n"
    f"Input: {HEADLINE}\nAnswer: "
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, *options, model=None, adapters=True):
        self.http, self.lines = free_port(), free_port()
        models = REPOSITORY / "models"
        command = [
            BUILD / "dora-serve", "--model", model or models / "base", "--chat-template", HERE / "chat.jinja",
            "--http", f"tcp:127.0.0.1:{self.http}", "--listen", f"tcp:127.0.0.1:{self.lines}",
            "--log-level", "info", *options,
        ]
        if adapters:
            command += ["--adapter-root", models / "adapters"]
        self.log = open(f"/tmp/dora-clients-{self.http}.log", "w+")
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=self.log)
        self.origin = f"http://127.0.0.1:{self.http}"
        self.base_url = f"{self.origin}/v1"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.origin}/ready", timeout=5).read()
                break
            except OSError:
                assert self.process.poll() is None, self.logged()
                time.sleep(0.1)
        else:
            raise AssertionError(f"the server never was ready: {self.logged()}")

    def logged(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text()

    def line(self, **request):
        """One request of the line protocol: its last line."""
        with socket.create_connection(("127.0.0.1", self.lines)) as connection:
            connection.sendall((json.dumps(request) + "\n").encode())
            for line in connection.makefile():
                reply = json.loads(line)
                if reply.get("done"):
                    return reply

    def post(self, path, body, headers=(), method="POST", raw=None):
        """Status, headers and body of one request."""
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        request = urllib.request.Request(self.origin + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        for name, value in dict(headers).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def memory(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self):
        self.process.terminate()
        code = self.process.wait(60)
        self.log.close()
        pathlib.Path(self.log.name).unlink()
        assert code == 0, f"the server ended with {code}"


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def start_server():
    """For tests that want options of their own."""
    started = []

    def start(*options, **settings):
        started.append(Server(*options, **settings))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop()
