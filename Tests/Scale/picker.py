"""The endpoint picker's contract, without a cluster:  python3 Tests/Scale/picker.py

Scrapes a live server under load as llm-d's picker does, by the names in deploy/kubernetes, and evaluates what its scorers
would read: one series a name, who is resident, who waits, how full the cache is, and the choice that follows. Called by
check.py too; standard library only.
"""
import re
import tempfile
import threading
import time

from load import Client, Load, body
from replicas import ADAPTER_BYTES, REPOSITORY, Replica, adapter_root
from report import expect, failures

CONFIGURATION = REPOSITORY / "deploy/kubernetes/overlays/inference-gateway/picker-config.yaml"
ROOM = 6


def names():
    """Metrics by the extractor's field, as the picker's configuration has them."""
    return dict(re.findall(r"(\w+Spec): (\w+)", CONFIGURATION.read_text()))


def series(text, name):
    """Labels and value of each series of a name."""
    found = []
    for labels, value in re.findall(rf"(?m)^{re.escape(name)}(?:\{{(.*)\}})? (\S+)$", text):
        found.append((dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)))
    return found


def scrape(replica, specs):
    """What the extractor keeps of one replica; it takes one series a name, and several would be a gamble."""
    text = replica.get("/metrics")
    seen = {field: series(text, name) for field, name in specs.items()}
    several = [specs[field] for field, found in seen.items() if len(found) != 1]
    assert not several, f"not exactly one series: {several}"
    lora, changed = seen["loraSpec"][0]
    return {
        "waiting": seen["queuedRequestsSpec"][0][1], "running": seen["runningRequestsSpec"][0][1],
        "cache": seen["kvUsageSpec"][0][1], "cacheInfo": seen["cacheInfoSpec"][0][0], "changed": changed,
        "resident": set(filter(None, lora["running_lora_adapters"].split(","))),
        "coming": set(filter(None, lora["waiting_lora_adapters"].split(","))), "room": int(lora["max_lora"]),
    }


def affinity(state, model):
    """lora-affinity-scorer."""
    if model in state["resident"]:
        return 1.0
    if len(state["resident"]) + len(state["coming"]) < state["room"]:
        return 0.8
    return 0.6 if model in state["coming"] else 0.0


def pick(states, model):
    """max-score-picker over affinity x 3 and the queue's share x 1."""
    low, high = min(state["waiting"] for state in states), max(state["waiting"] for state in states)
    queue = [1.0 if high == low else (high - state["waiting"]) / (high - low) for state in states]
    scores = [3 * affinity(state, model) + share for state, share in zip(states, queue)]
    return scores.index(max(scores))


def picker_contract(replicas=None, root=None):
    specs = names()
    expect(f"the picker's configuration names {len(specs)} metrics", len(specs) == 5)
    with tempfile.TemporaryDirectory() as folder:
        adapters = adapter_root(folder, 12)
        options = ["--memory", str(ROOM * ADAPTER_BYTES), "--max-sequences", "2", "--kv-memory", "2MiB"]
        pair = [Replica(adapters, *options) for _ in range(2)]
        try:
            for number, replica in enumerate(pair):
                replica.start()
                for name in range(3):
                    Client(replica.http).answer(f"a{3 * number + name:02}")
            states = [scrape(replica, specs) for replica in pair]
            expect("idle: nothing waits, nothing runs, the cache counts as free", all(
                (state["waiting"], state["running"], state["cache"]) == (0, 0, 0) for state in states))
            expect(f"resident adapters by the names that clients use, room for {states[0]['room']}", all(
                state["resident"] == {f"a{3 * number + name:02}" for name in range(3)} and state["room"] == ROOM
                for number, state in enumerate(states)))
            expect("an adapter's requests go to the replica that has it",
                   [pick(states, f"a{name:02}") for name in range(6)] == [0, 0, 0, 1, 1, 1])
            under_load(pair, specs)
        finally:
            for replica in pair:
                replica.stop()


def under_load(pair, specs):
    samples, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            samples.append(scrape(pair[0], specs))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    with Load(pair[0].http, lambda chance: f"a{chance.randrange(3):02}", 10, tokens=200) as load:
        watcher.start()
        time.sleep(3)
        states = [scrape(replica, specs) for replica in pair]
        stop.set()
        watcher.join()
    expect(f"under load: up to {max(s['running'] for s in samples):.0f} run, {max(s['waiting'] for s in samples):.0f} wait, "
           f"{max(s['cache'] for s in samples):.2f} of the cache is used ({len(samples)} scrapes, {len(load.answers)} answers)",
           max(s["running"] for s in samples) == 2 and max(s["waiting"] for s in samples) >= 6
           and 0 < max(s["cache"] for s in samples) <= 1 and not load.failures)
    expect("an adapter that nobody has goes to the replica without a queue", pick(states, "a09") == 1)
    # 3 x 1.0 + 0 against 3 x 0.8 + 1: room elsewhere and no queue is worth a merge; without room (3 x 0 + 1) it is not.
    full = dict(states[1], room=len(states[1]["resident"]))
    expect("a queue outweighs an adapter in memory as long as another has room for it",
           (pick(states, "a00"), pick([states[0], full], "a00")) == (1, 0))
    for name in range(3, 8):
        Client(pair[0].http).ask(body(f"a{name:02}"))
    full = scrape(pair[0], specs)
    expect(f"full: {len(full['resident'])} resident of {full['room']}, so others score 0 there",
           len(full["resident"]) == full["room"] == ROOM and affinity(full, "a11") == 0.0)
    blocks = full["cacheInfo"]
    expect(f"the cache's blocks: {blocks}", int(blocks["block_size"]) > 0 and int(blocks["num_gpu_blocks"]) > 0)


if __name__ == "__main__":
    picker_contract()
    raise SystemExit(f"{len(failures)} failed" if failures else 0)
