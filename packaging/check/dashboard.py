#!/usr/bin/env python3
"""dashboard.py PROGRAMS MODELS: asks a real Prometheus, which scrapes a real server, each query of the dashboard.

Every query must be understood and find something, and every metric that it names must be one that the server tells."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DASHBOARD = HERE.parent / "docker/grafana/dora.json"
WORDS = {"sum", "max", "by", "le", "rate", "histogram_quantile", "adapter", "outcome"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.read().decode()


def until(what: str, test, seconds: float = 60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := test():
                return found
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"FAILED: {what}: not within {seconds:.0f} s")


def queries() -> list[tuple[str, str]]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


def main(programs: Path, models: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import dashboard, json; print(json.dumps(dashboard.dashboard()))"],
        cwd=DASHBOARD.parent, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    if json.loads(made.stdout) != json.loads(DASHBOARD.read_text()):
        sys.exit("FAILED: dora.json is not what dashboard.py writes")
    configuration = (HERE.parent / "docker/prometheus.yml").read_text()
    with tempfile.TemporaryDirectory() as folder:
        metrics, port = free_port(), free_port()
        running = []
        try:
            running.append(subprocess.Popen(
                [programs / "dora-serve", "--model", models / "base", "--adapter-root", models / "adapters",
                 "--listen", f"unix:{folder}/sock", "--metrics-listen", f"tcp:127.0.0.1:{metrics}",
                 "--log-level", "error"], stdout=subprocess.DEVNULL))
            Path(folder, "prometheus.yml").write_text(
                configuration.replace("dora:9464", f"127.0.0.1:{metrics}").replace("5s", "1s"))
            subprocess.run(["promtool", "check", "config", f"{folder}/prometheus.yml"], check=True, stdout=subprocess.DEVNULL)
            until("the server answers", lambda: get(f"http://127.0.0.1:{metrics}/ready"))
            running.append(subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]))
            until("Prometheus answers", lambda: get(f"http://127.0.0.1:{port}/-/ready"))
            for _ in range(6):
                # Named again, they are loaded again.
                for adapter in ["sentiment", "topic"]:
                    subprocess.run([programs / "dora-generate", "--connect", f"unix:{folder}/sock", "unload", adapter],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for adapter in ["", "sentiment", "topic"]:
                    subprocess.run(
                        [programs / "dora-generate", "--connect", f"unix:{folder}/sock", "--adapter", adapter,
                         "--prompt", "Input: Profit rose\nAnswer: ", "--max-tokens", "8", "--ignore-eos"],
                        check=True, stdout=subprocess.DEVNULL)
                time.sleep(1)
            text = get(f"http://127.0.0.1:{metrics}/metrics")
            told = set(re.findall(r"^([a-z_:]+)[ {]", text, re.MULTILINE))

            def ask(query: str) -> list:
                parameters = urllib.parse.urlencode({"query": query.replace("$__rate_interval", "30s")})
                try:
                    reply = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?{parameters}"))
                except urllib.error.HTTPError as error:
                    sys.exit(f"FAILED: {query}: {error.read().decode()}")
                # A quantile of nothing is no number; the metrics must have moved.
                return [one for one in reply["data"]["result"] if one["value"][1] != "NaN"]

            asked = queries()
            for title, query in asked:
                unknown = set(re.findall(r"\b[a-z_]{2,}\b", re.sub(r"\[[^]]*\]|{[^}]*}", "", query))) - WORDS - told
                if unknown:
                    sys.exit(f"FAILED: {title}: the server tells no {', '.join(sorted(unknown))}")
                until(f"{title}: {query} finds something", lambda: ask(query), 15)
            print(f"  {len(asked)} queries, all understood by Prometheus and answered from /metrics")
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
                process.wait()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
