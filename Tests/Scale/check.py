"""Three replicas behind HAProxy, for real:  python3 Tests/Scale/check.py [PART ...]

Starts dora-serve with the demo model three times and Debian's HAProxy with the files of deploy/haproxy, and fails unless
what docs/scaling.md promises is so. Needs only the standard library and haproxy. PARTs are names of functions below.
"""
import contextlib
import http.client
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from agreement import agreement
from clients import client_hashing
from lines import line_protocol
from load import Client, Load, body, differing, homes
from picker import picker_contract
from replicas import MODELS, REPOSITORY, Balancer, Replica, adapter_root
from report import expect, failures

ADAPTERS = [f"a{number:02}" for number in range(30)]


def even(chance):
    return chance.choice(ADAPTERS)


def hot(chance):
    return ADAPTERS[0] if chance.random() < 0.6 else chance.choice(ADAPTERS)


@contextlib.contextmanager
def balancer(replicas, changes=(), up=None):
    proxy = Balancer("haproxy.cfg", [replica.http for replica in replicas], changes, up)
    try:
        yield proxy
    finally:
        proxy.stop()


def run_load(balancer, pick, clients, seconds):
    with Load(balancer.port, pick, clients) as load:
        time.sleep(seconds)
    expect(f"  {len(load.answers)} answers of the same bytes, {len(load.failures)} failures {load.failures[:1]}",
           not load.failures and len(load.answers) > 50 and not differing(load.answers))
    return load.answers


def homing(replicas, root):
    with balancer(replicas) as proxy:
        for clients in (1, 8, 32):
            _, share = homes(run_load(proxy, even, clients, 4))
            expect(f"even load, {clients} clients: {share:.3f} of the requests at home", share >= 0.99)
        answers = run_load(proxy, hot, 32, 4)
        _, share = homes(answers)
        expect(f"a hot adapter, 32 clients: {share:.3f} at home, largest share {largest(answers):.2f}", share >= 0.99)


def spilling(replicas, root):
    with balancer(replicas, [("# hash-balance-factor 200", "hash-balance-factor 200")]) as proxy:
        _, share = homes(run_load(proxy, even, 32, 4))
        expect(f"balance factor 200, even load, 32 clients: {share:.3f} at home", share >= 0.85)
        answers = run_load(proxy, hot, 32, 4)
        _, share = homes(answers)
        spread = {answer.replica for answer in answers if answer.model == ADAPTERS[0]}
        # How much of it stays home is a matter of throughput: a home that is full answers no more than its neighbours.
        expect(f"balance factor 200, a hot adapter: {share:.3f} at home, on {len(spread)} replicas, "
               f"largest share {largest(answers):.2f}", len(spread) >= 2 and largest(answers) <= 2 / 3)


def largest(answers):
    replicas = [answer.replica for answer in answers]
    return max(replicas.count(name) for name in set(replicas)) / len(replicas)


def losing(replicas, root):
    """One replica is killed under load, one drained: nobody notices."""
    with balancer(replicas) as proxy:
        with Load(proxy.port, even, 12) as load:
            time.sleep(3)
            before, _ = homes(load.answers)
            replicas[0].kill()
            killed = time.time()
            time.sleep(3)
            replicas[0].start()
            proxy.wait_for(3)
            back = time.time()
            time.sleep(2)
            replicas[1].drain()
            drained = time.time()
            code = replicas[1].process.wait(60)
            gone = time.time()
            time.sleep(1)
            replicas[1].start()
            proxy.wait_for(3)
        expect(f"kill -9, return and drain of replicas: {len(load.answers)} answered, {len(load.failures)} lost "
               f"{load.failures[:1]}", not load.failures)
        expect("  all answers of the same bytes", not differing(load.answers))
        between = [answer for answer in load.answers if killed + 1 < answer.start < killed + 3]
        moved, _ = homes(between)
        expect("  a killed replica's adapters moved, and no others",
               all((moved[model] == before[model]) == (before[model] != "d1") for model in moved) and len(moved) > 20)
        again, _ = homes([answer for answer in load.answers if back + 0.5 < answer.start < drained])
        expect("  they went home when it was back", all(again[model] == before[model] for model in again))
        late = [answer for answer in load.answers if answer.start > drained + 1.5 and answer.start < gone]
        expect(f"  a draining replica got nothing after 1.5 s ({len(late)} requests elsewhere) and ended with {code}",
               code == 0 and not any(answer.replica == "d2" for answer in late))


def cut_streams(replicas, root):
    """A stream whose replica dies cannot go on elsewhere: it ends with an error, not as if it were whole."""
    with balancer(replicas) as proxy:
        client = Client(proxy.port)
        response = client.send(body(ADAPTERS[0], tokens=900, stream=True))
        first = response.read1(200)
        home = replicas[int(response.headers["x-dora-replica"][1:]) - 1]
        home.kill()
        try:
            rest, problem = response.read(), None
        except http.client.IncompleteRead as cut:
            rest, problem = cut.partial, cut
        expect(f"a stream that was cut: {type(problem).__name__ if problem else 'no error'}, no [DONE]",
               first.startswith(b"data: ") and problem is not None and b"[DONE]" not in rest)
        expect("  the same request again is answered elsewhere",
               Client(proxy.port).answer(ADAPTERS[0]).replica != response.headers["x-dora-replica"])
        home.start()


def adding(replicas, root):
    """A fourth replica takes its share of a thousand names, and no name moves between the others."""
    fourth = Replica(root)
    names = [f"adapter-{number}" for number in range(1000)]
    with balancer([*replicas, fourth], up=3) as proxy:
        def places():
            client = Client(proxy.port)
            return {name: client.ask(body(name))[1] for name in names}

        before = places()
        shares = sorted(list(before.values()).count(name) / len(names) for name in set(before.values()))
        expect(f"a thousand names on three replicas: shares {', '.join(f'{share:.3f}' for share in shares)}",
               len(shares) == 3 and 0.28 < shares[0] and shares[2] < 0.39)
        fourth.start()
        proxy.wait_for(4)
        after = places()
        moved = [name for name in names if after[name] != before[name]]
        # A quarter, give or take two standard deviations of a thousand coins.
        expect(f"a fourth took {len(moved) / len(names):.3f} of them, and nothing else moved",
               all(after[name] == "d4" for name in moved) and 0 < len(moved) / len(names) < 0.25 + 2 * 0.0137)
    fourth.stop()


def latency(replicas, root):
    with balancer(replicas) as proxy:
        direct, through = [Client(replica.http) for replica in replicas], Client(proxy.port)
        costs = []
        for turn in range(300):
            model = ADAPTERS[turn % 6]
            there = through.answer(model)
            # The same replica, which has the adapter; in alternation.
            here = direct[int(there.replica[1:]) - 1].answer(model)
            if turn >= 20:
                costs.append(there.seconds - here.seconds)
        cost = statistics.median(costs) * 1000
        expect(f"latency added by the balancer: {cost:.2f} ms (median of {len(costs)})", cost <= 4)


def bodies(replicas, root):
    """The model is found wherever it stands, in bodies of up to the limit."""
    with balancer(replicas) as proxy:
        client = Client(proxy.port)
        home = {model: client.answer(model).replica for model in ADAPTERS[:6]}
        right = 0
        for model in home:
            for size in (100, 100_000, 900_000):
                request = {"prompt": "x", "max_tokens": 1, "user": "u" * size, "model": model}
                status, replica, _ = client.ask(request)
                right += status == 200 and replica == home[model]
        expect(f"bodies of up to 900 kB, model last: {right} of {3 * len(home)} at home", right == 3 * len(home))
        status, _, _ = client.ask({"prompt": "x", "user": "u" * 1_200_000, "model": "a00"})
        expect(f"a body beyond --max-line: {status}", status == 413)


def comparing(replicas, root):
    """deploy/compare.py: nothing differs between machines on one root, and another's other contents are named."""
    with tempfile.TemporaryDirectory() as folder:
        other = pathlib.Path(folder) / "root"
        shutil.copytree(root, other)
        shutil.rmtree(other / "a07")
        shutil.copytree(MODELS / "adapters/sentiment", other / "a07")
        shutil.rmtree(other / "a08")
        stranger = Replica(other).start()
        try:
            def compare(*machines):
                addresses = [f"http://127.0.0.1:{machine.http}" for machine in machines]
                for machine in machines:
                    Client(machine.http).answer("a07")
                run = subprocess.run([sys.executable, REPOSITORY / "deploy/compare.py", *addresses],
                                     capture_output=True, text=True)
                return run.returncode, run.stdout

            code, said = compare(*replicas)
            expect(f"compare.py, one root: {said.strip()}", code == 0 and "nothing differs" in said)
            code, said = compare(replicas[0], stranger)
            expect(f"compare.py, another root: {said.strip().splitlines()}",
                   code == 1 and len(said.splitlines()) == 2 and "a08: not on" in said and "a07: " in said)
        finally:
            stranger.stop()


PARTS = [homing, spilling, losing, cut_streams, adding, latency, bodies, line_protocol, client_hashing, comparing, picker_contract, agreement]


def main(names):
    parts = [part for part in PARTS if not names or part.__name__ in names]
    with tempfile.TemporaryDirectory() as folder:
        root = adapter_root(folder, 60)
        replicas = [Replica(root) for _ in range(3)]
        try:
            for replica in replicas:
                replica.start()
            for part in parts:
                part(replicas, root)
        finally:
            for replica in replicas:
                replica.stop()
    sys.exit(f"{len(failures)} failed" if failures else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
