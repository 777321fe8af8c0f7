"""The simulation's case of three replicas beside a real HAProxy: the same requests at the same times."""
import collections
import concurrent.futures
import queue
import sys
import time

from load import Client, differing
from replicas import ADAPTER_BYTES, REPOSITORY, Balancer, Replica
from report import expect

sys.path.insert(0, str(REPOSITORY / "deploy"))
from simulate import Fleet, Machine, Result, trace  # noqa: E402

SEED, RATE, COUNT, ROOM = 7, 40, 1200, 8
NAMES = [f"a{number:02}" for number in range(60)]
HASHING = "balance hash var(txn.model)\n    hash-type consistent"
# Policy of the simulation: what is changed in haproxy.cfg.
CASES = {"hash": [], "bounded": [("# hash-balance-factor 200", "hash-balance-factor 200")],
         "least": [(HASHING, "balance leastconn")]}


def drive(port, clients=48):
    """Sends the trace at its times, whether earlier requests are answered or not."""
    idle = queue.SimpleQueue()
    for _ in range(clients):
        idle.put(Client(port))

    def ask(number, name):
        client = idle.get()
        try:
            return client.answer(name, number % 4)
        finally:
            idle.put(client)

    begin = time.time()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        answers = []
        for number, (due, name) in enumerate(trace(SEED, RATE, COUNT, NAMES)):
            time.sleep(max(0, begin + due - time.time()))
            answers.append(pool.submit(ask, number, name))
        return [answer.result() for answer in answers]


def real(root, changes):
    """The result of a run, in the simulation's terms, and the times that it took."""
    replicas = [Replica(root, "--memory", str(ROOM * ADAPTER_BYTES)) for _ in range(3)]
    proxy = None
    try:
        for replica in replicas:
            replica.start()
        proxy = Balancer("haproxy.cfg", [replica.http for replica in replicas], changes)
        answers = drive(proxy.port)
        misses = sum(replica.misses() for replica in replicas)
    finally:
        for process in [*replicas, *([proxy] if proxy else [])]:
            process.stop()
    counts = collections.Counter(answer.replica for answer in answers)
    shares = [counts[f"d{number}"] / len(answers) for number in (1, 2, 3)]
    timing = [answer.dora["timing"] for answer in answers]
    waits = [times["queue"] + times["merge"] for times in timing]
    # What a request takes but for its waits, its way through the balancer and back included.
    service = tuple(answer.seconds - wait for answer, wait in zip(answers, waits))
    merge = tuple(sorted(times["merge"] for times in timing)[-misses:])
    expect(f"  {len(answers)} answers of the same bytes", not differing(answers))
    return Result(shares, misses, len(answers), waits, 3 * max(shares)), Machine(service, merge, 16, ROOM)


def near(one, other):
    return abs(one - other) <= 0.15 * max(one, other)


def agreement(replicas, root):
    for replica in replicas:
        replica.stop()
    for policy, changes in CASES.items():
        found, machine = real(root, changes)
        said = Fleet(machine, 3, policy, SEED).run(trace(SEED, RATE, COUNT, NAMES))
        expect(f"{policy}: shares " + ", ".join(f"{a:.3f} ({b:.3f})" for a, b in zip(found.shares, said.shares))
               + f"; merges {found.misses} ({said.misses}) of {COUNT}; real (simulated)",
               near(found.misses, said.misses) and all(map(near, found.shares, said.shares)))
        print("     wait p50, p99: " + ", ".join(
            f"{1e3 * found.percentile(share):.1f} ms ({1e3 * said.percentile(share):.1f} ms)" for share in (0.5, 0.99)))
    for replica in replicas:
        replica.start()
