"""deploy/ray for real: two replicas on this machine.  python Tests/Scale/ray_app.py  (with ray[serve])"""
import collections
import os
import signal
import subprocess
import sys
import tempfile
import time

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_SERVE_ENABLE_HA_PROXY="0")

from load import Client, differing, body  # noqa: E402
from replicas import BUILD, MODELS, REPOSITORY, Replica, adapter_root, free_ports, until  # noqa: E402
from report import expect, failures  # noqa: E402

os.environ["DORA_SERVE"] = str(BUILD / "dora-serve")
os.environ["PYTHONPATH"] = str(REPOSITORY / "deploy/ray")
sys.path.insert(0, os.environ["PYTHONPATH"])

import ray  # noqa: E402
from ray import serve  # noqa: E402

from dora_app import application  # noqa: E402


def children():
    """Process ids of the replicas' servers."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines()
    return [int(line.split()[0]) for line in listed if f"{BUILD}/dora-serve --http unix:/tmp/dora-" in line
            or f"{BUILD}/dora-serve --http=unix:/tmp/dora-" in line]


def answers_ok(port):
    try:
        return Client(port).answer("base", 0, 4) is not None
    except (AssertionError, OSError, ValueError):
        return False


def check(root):
    port, = free_ports(1)
    start = time.time()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(application({"model": MODELS / "base", "adapter_root": root, "threads": 1, "log_level": "error",
                           "min_replicas": 2, "max_replicas": 2}))
    until(lambda: answers_ok(port), 60, "the application")
    print(f"up in {time.time() - start:.0f} s")

    client, alone = Client(port), Replica(root).start()
    names = [f"a{name:02}" for name in range(12)]
    replies = [client.answer(name) for name in names]
    time.sleep(3)  # Ray tells its routers in its own time who has which.
    replies += [client.answer(name, item) for item in range(5) for name in names]
    direct = [Client(alone.http).answer("a00", item) for item in range(5)]
    alone.stop()
    expect(f"{len(replies)} answers have the bytes of a server asked directly", not differing(replies + direct))
    places = collections.defaultdict(set)
    for reply in replies:
        places[reply.model].add(reply.replica)
    sticky = sum(len(replicas) == 1 for replicas in places.values())
    expect(f"{sticky} of 12 adapters stayed with one replica, {len(set.union(*places.values()))} replicas at work",
           sticky == 12 and len(set.union(*places.values())) == 2)
    times = sorted(reply.seconds for reply in replies[12:])
    print(f"     a request takes {1e3 * times[len(times) // 2]:.1f} ms (median)")

    response = client.send(body("a00", tokens=400, stream=True))
    pieces, stamps = b"", []
    while piece := response.read1(4096):
        pieces += piece
        stamps.append(time.time())
    expect(f"a stream came in {len(stamps)} pieces over {stamps[-1] - stamps[0]:.2f} s, and was whole",
           len(stamps) > 5 and pieces.endswith(b"data: [DONE]\n\n"))
    client = Client(port)
    status, _, reply = client.ask(body("nobody"))
    expect(f"an unknown adapter: {status}", status == 404 and reply["error"]["code"] == "model_not_found")

    found = children()
    expect(f"one dora-serve a replica: {len(found)}", len(found) == 2)
    os.kill(found[0], signal.SIGKILL)
    until(lambda: len(children()) == 2 and found[0] not in children(), 120, "a new replica for one whose server was killed")
    until(lambda: all(answers_ok(port) for _ in range(5)), 60, "answers after a replica was replaced")
    expect("a replica whose server was killed was replaced", True)
    serve.shutdown()
    ray.shutdown()
    until(lambda: not children(), 30, "the end of all servers")
    expect("no server is left behind", True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        check(adapter_root(folder, 12))
    raise SystemExit(f"{len(failures)} failed" if failures else 0)
