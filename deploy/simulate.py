#!/usr/bin/env python3
"""What no single machine can run: 3 to 1,000 replicas under a Zipf distribution over 10,000 adapters.

    python3 deploy/simulate.py                         the table of docs/scaling.md, in Markdown
    python3 deploy/simulate.py --chart FILE.svg        and its chart

Seeded: the same arguments, the same table. Tests/Scale/agreement.py compares the case of three replicas with a real
HAProxy. Standard library only.

The model. Requests come at random (Poisson), each for an adapter by Zipf's law. A replica computes up to `slots` at a
time, each for one of the measured service times; others queue in order. An adapter that is not in memory is merged first,
one at a time, and takes the place of the one that was used least recently among those that answer nobody.
"""
import argparse
import bisect
import collections
import dataclasses
import heapq
import itertools
import random

from ring import Ring


@dataclasses.dataclass(frozen=True)
class Machine:
    """One replica, as measured (docs/scaling.md has the commands): seconds, and adapters that fit its memory."""
    service: tuple
    merge: tuple
    slots: int
    room: int


@dataclasses.dataclass
class Result:
    shares: list
    misses: int
    requests: int
    waits: list
    peak: float

    def percentile(self, share):
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def trace(seed, rate, count, names, exponent=1.0):
    """`count` requests, `rate` a second: when, and for which adapter. The same seed, the same requests."""
    chance = random.Random(seed)
    cumulative = list(itertools.accumulate(1 / (rank + 1) ** exponent for rank in range(len(names))))
    time = 0.0
    for _ in range(count):
        time += chance.expovariate(rate)
        yield time, names[bisect.bisect(cumulative, chance.random() * cumulative[-1])]


class Replica:
    def __init__(self, machine, index, holders):
        self.machine, self.index, self.holders = machine, index, holders
        self.running, self.merger, self.in_flight = 0, 0.0, 0
        self.queue = collections.deque()
        self.resident = collections.OrderedDict()  # name: when it is merged; the least recently used first
        self.busy = collections.Counter()

    def admit(self, now, name, merge):
        """When the adapter is in memory, and whether it had to be merged."""
        self.in_flight += 1
        self.busy[name] += 1
        missed = name not in self.resident
        if missed:
            if len(self.resident) >= self.machine.room:
                idle = next((old for old in self.resident if not self.busy[old]), None)
                old = idle or next(iter(self.resident))
                del self.resident[old]
                self.holders[old].discard(self.index)
            self.holders[name].add(self.index)
            self.merger = self.resident[name] = max(now, self.merger) + merge
        self.resident.move_to_end(name)
        return max(now, self.resident[name]), missed

    def leave(self, name):
        self.in_flight -= 1
        self.busy[name] -= 1
        if not self.busy[name]:
            del self.busy[name]


class Fleet:
    """Routes a trace with one policy."""

    def __init__(self, machine, count, policy, seed=1, points=4096, factor=200, scrape=0.05):
        self.holders = collections.defaultdict(set)  # replicas by adapter
        self.replicas = [Replica(machine, index, self.holders) for index in range(count)]
        self.machine, self.chance = machine, random.Random(seed)
        self.ring = Ring(range(1, count + 1), points) if policy in ("hash", "bounded") else None
        self.route = getattr(self, policy)
        self.factor, self.scrape, self.total, self.turn = factor, scrape, 0, 0
        self.scraped = -1.0
        self.last = [0] * count
        self.loads = [(0, 0, index) for index in range(count)]  # for `least`; some are out of date

    # Policies: the index of a replica for a name.

    def hash(self, now, name):
        return self.ring.home(name) - 1

    def bounded(self, now, name):
        """hash-balance-factor: of the slots for all requests in flight each server has its part, at least one; who is full
        is passed."""
        slots, count = -(-(self.total + 1) * self.factor // 100), len(self.replicas)
        for server in self.ring.walk(name):
            index = server - 1
            if self.replicas[index].in_flight < max(1, slots * (index + 1) // count - slots * index // count):
                return index
        return self.ring.home(name) - 1

    def least(self, now, name):
        """The fewest requests in flight; of equal ones, the one that was not chosen for longest."""
        while True:
            load, turn, index = self.loads[0]
            replica = self.replicas[index]
            if (replica.in_flight, self.last[index]) == (load, turn):
                self.turn += 1
                self.last[index] = self.turn
                return index
            heapq.heapreplace(self.loads, (replica.in_flight, self.last[index], index))

    def picker(self, now, name):
        """llm-d's lora-affinity-scorer (1 resident, 0.8 room, 0.6 on its way, else 0) three times, queue-scorer once, by
        queues that were scraped up to 50 ms ago; of equal ones, any."""
        if now - self.scraped >= self.scrape:
            self.look(now)
        best, choice = -1.0, self.emptiest
        for index in sorted(self.holders[name]):
            score = 3.0 + self.idleness(index)
            if score > best:
                best, choice = score, [index]
            elif score == best:
                choice.append(index)
        # Who holds it not: room is worth 2.4, and no queue 1.
        if self.roomy and best < (rest := 2.4 + self.idleness(self.roomy[0])):
            best, choice = rest, self.roomy
        if best < 1.0:
            choice = self.emptiest
        return self.chance.choice(choice)

    def idleness(self, index):
        low, high = self.range
        return 1.0 if high == low else (high - self.waiting[index]) / (high - low)

    def look(self, now):
        self.scraped = now
        self.waiting = [replica.in_flight - replica.running for replica in self.replicas]
        self.range = min(self.waiting), max(self.waiting)
        self.emptiest = [index for index, queue in enumerate(self.waiting) if queue == self.range[0]]
        roomy = [index for index, replica in enumerate(self.replicas) if len(replica.resident) < self.machine.room]
        fewest = min((self.waiting[index] for index in roomy), default=0)
        self.roomy = [index for index in roomy if self.waiting[index] == fewest]

    def run(self, requests, skip=0):
        """Routes all; counts those after the first `skip`."""
        events, order, answered = [], itertools.count(), [0] * len(self.replicas)
        misses, waits, number = 0, [], 0
        service, merge = self.machine.service, self.machine.merge

        def start(now, index, came, name, counted):
            self.replicas[index].running += 1
            if counted:
                waits.append(now - came)
            heapq.heappush(events, (now + self.chance.choice(service), next(order), 1, index, came, name, counted))

        def advance(until):
            while events and events[0][0] <= until:
                now, _, ends, index, came, name, counted = heapq.heappop(events)
                replica = self.replicas[index]
                if ends:
                    replica.running -= 1
                    replica.leave(name)
                    self.total -= 1
                    if self.route == self.least:
                        heapq.heappush(self.loads, (replica.in_flight, self.last[index], index))
                else:
                    replica.queue.append((came, name, counted))
                while replica.queue and replica.running < self.machine.slots:
                    start(now, index, *replica.queue.popleft())

        for now, name in requests:
            advance(now)
            index, number = self.route(now, name), number + 1
            ready, missed = self.replicas[index].admit(now, name, self.chance.choice(merge))
            self.total += 1
            counted = number > skip
            misses += missed and counted
            answered[index] += counted
            heapq.heappush(events, (ready, next(order), 0, index, now, name, counted))
        advance(float("inf"))
        total = sum(answered)
        shares = [count / total for count in answered]
        return Result(shares, misses, total, waits, max(shares) * len(shares))


# Two cores, the 1.1B shape in LLM.int8, 128 tokens of prompt and 32 of answer, eight at a time: 90 tokens/s (docs/serving.md,
# as the 0.28 s of a merge). An adapter of q/k/v takes 119 MB: 128 fit 16 GB.
MEASURED = Machine(service=(8 * 32 / 90,), merge=(0.28,), slots=8, room=128)
POLICIES = {"hash": "plain hashing", "bounded": "bounded hashing, 200", "least": "least load", "picker": "picker's scoring"}
SIZES = (3, 10, 30, 100, 300, 1000)


def table(seed, utilization, adapters, sizes):
    names = [f"adapter-{number}" for number in range(adapters)]
    random.Random(seed).shuffle(names)
    for size in sizes:
        rate = utilization * size * MEASURED.slots / (sum(MEASURED.service) / len(MEASURED.service))
        count = max(30_000, 300 * size)
        for policy in POLICIES:
            fleet = Fleet(MEASURED, size, policy, seed, points=min(4096, 400_000 // size))
            yield size, policy, fleet.run(trace(seed, rate, count, names), skip=count // 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--utilization", type=float, default=0.6, help="requests that come, of those that could be served")
    parser.add_argument("--adapters", type=int, default=10_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--chart", help="file for a chart (SVG)")
    options = parser.parse_args()
    rows = []
    print("| replicas | | merges a request | wait p50 | p99 | busiest / mean |\n|---|---|---|---|---|---|")
    for size, policy, result in table(options.seed, options.utilization, options.adapters, options.sizes):
        misses = result.misses / result.requests
        p50, p99 = result.percentile(0.5), result.percentile(0.99)
        rows.append((size, policy, misses, p99))
        print(f"| {size} | {POLICIES[policy]} | {misses:.3f} | {p50:.2f} s | {p99:.2f} s | {result.peak:.1f} |", flush=True)
    if options.chart:
        from chart import chart
        with open(options.chart, "w") as file:
            file.write(chart(rows, POLICIES))


if __name__ == "__main__":
    main()
