"""Replicas of dora-serve and the HAProxy of deploy/haproxy in front of them, all on loopback ports of their own."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("DORA_BUILD", REPOSITORY / ".build" / os.environ.get("CONFIGURATION", "release")))
MODELS = REPOSITORY / "models"
# What one copy of the demo's "topic" takes in memory.
ADAPTER_BYTES = 253_440


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def until(condition, seconds, what):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return
        time.sleep(0.02)
    raise SystemExit(f"{what}: not within {seconds} s")


def adapter_root(folder, count):
    """A root of `count` adapters a00, a01 … with the same weights: each name is merged on its own."""
    for number in range(count):
        shutil.copytree(MODELS / "adapters/topic", pathlib.Path(folder) / f"a{number:02}")
    return folder


class Replica:
    def __init__(self, root, *options):
        self.http, self.lines = free_ports(2)
        self.command = [
            BUILD / "dora-serve", "--model", MODELS / "base", "--adapter-root", root, "--threads", "1",
            "--http", f"tcp:127.0.0.1:{self.http}", "--listen", f"tcp:127.0.0.1:{self.lines}", "--log-level", "error",
            "--drain-delay", "2", "--idle-timeout", "60", *options]
        self.process = None

    def start(self):
        self.process = subprocess.Popen([str(word) for word in self.command], stdout=subprocess.DEVNULL)
        until(self.is_ready, 60, "a replica that starts")
        return self

    def is_ready(self):
        try:
            return self.get("/ready", timeout=1) is not None
        except OSError:
            return False

    def get(self, path, timeout=10):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=timeout) as reply:
            return reply.read().decode()

    def metric(self, name):
        """The sum over a metric's series."""
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics").splitlines()
                   if re.match(rf"{re.escape(name)}(\{{| )", line))

    def misses(self):
        return int(self.metric('dora_adapter_loads_total'))

    def line(self, **request):
        with socket.create_connection(("127.0.0.1", self.lines)) as connection:
            connection.sendall((json.dumps(request) + "\n").encode())
            return json.loads(connection.makefile().readline())

    def drain(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Balancer:
    """HAProxy with a file of deploy/haproxy, of which only the ports and `changes`, pairs of texts, are changed."""

    def __init__(self, name, ports, changes=(), up=None):
        text = (REPOSITORY / "deploy/haproxy" / name).read_text()
        self.port, = free_ports(1)
        text, binds = re.subn(r"bind 127\.0\.0\.1:\d+", f"bind 127.0.0.1:{self.port}", text)
        text, servers = re.subn(r"(?m)^    server d\d 127.*\n", "", text)
        assert (binds, servers) == (1, 3), f"{name} is not what this check was written for"
        text += "".join(f"    server d{i + 1} 127.0.0.1:{port}\n" for i, port in enumerate(ports))
        for old, new in changes:
            assert old in text, f"{name} has no '{old}'"
            text = text.replace(old, new)
        with tempfile.NamedTemporaryFile("w", suffix=".cfg", delete=False) as file:
            # Its statistics, to know what the checks have found.
            self.socket = file.name + ".sock"
            file.write(text.replace("global\n", f"global\n    stats socket {self.socket}\n", 1))
        self.file = file.name
        self.process = subprocess.Popen(["haproxy", "-q", "-f", self.file], stderr=subprocess.DEVNULL)
        self.wait_for(len(ports) if up is None else up)

    def up(self):
        """Names of the replicas that get requests."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self.socket)
                connection.sendall(b"show stat\n")
                rows = [row.split(",") for row in connection.makefile().read().splitlines()]
        except OSError:
            return []
        return [row[1] for row in rows if len(row) > 17 and row[1].startswith("d") and row[17] == "UP"]

    def wait_for(self, count):
        until(lambda: len(self.up()) == count, 20, f"{count} replicas in the balancer's eyes")

    def stop(self):
        self.process.kill()
        self.process.wait()
        for path in (self.file, self.socket):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
