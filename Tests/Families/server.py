"""dora-serve with one model and a folder of adapters, on a socket of its own; many requests at a time."""

import json
import socket
import subprocess
import tempfile
from pathlib import Path


class Refused(Exception):
    """The program ended instead of listening, with this message."""


class Server:
    """`with Server(program, model, adapters) as server: server.ask([...])`"""

    def __init__(self, program, model, adapters=None, *options):
        self.folder = tempfile.TemporaryDirectory(prefix="dora-families-")
        self.path = f"{self.folder.name}/socket"
        self.errors = open(f"{self.folder.name}/errors", "w+")
        root = ["--adapter-root", adapters] if adapters else []
        command = [program, "--model", model, *root, "--listen", f"unix:{self.path}", "--log-level", "error", *options]
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=self.errors, stdin=subprocess.DEVNULL)

    def __enter__(self):
        if not self.process.stdout.readline():
            code = self.process.wait()
            self.errors.seek(0)
            message = self.errors.read().strip()
            self.__exit__()
            raise Refused(f"exit {code}: {message}")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        self.folder.cleanup()

    def ask(self, requests, timeout=120):
        """The last lines of all requests, in the order of these."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(self.path)
            lines = "".join(json.dumps(dict(request, id=number)) + "\n" for number, request in enumerate(requests))
            connection.sendall(lines.encode())
            file = connection.makefile("r")
            replies = {}
            while len(replies) < len(requests):
                line = file.readline()
                if not line:
                    raise RuntimeError(f"the server closed the connection, exit {self.process.poll()}")
                reply = json.loads(line)
                if reply.get("done"):
                    replies[reply["id"]] = reply
        return [replies[number] for number in range(len(requests))]


EXACT = ("--weights", "f32", "--merged", "f32", "--kv", "f32", "--threads", "1")


def program(folder, name):
    path = Path(folder) / name
    if not path.exists():
        raise SystemExit(f"{path} is not there: build it, or name its folder with --bin")
    return path
