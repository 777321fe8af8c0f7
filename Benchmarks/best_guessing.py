"""What guesses could gain: decoding in which the chance of every guess and the time of every step are known before, and each step
makes the most tokens a second, with no more rows than were measured."""
import random


class StepTimes:
    """Seconds of a step by its rows: lines between those that were measured, {rows: seconds}."""

    def __init__(self, measured):
        self.points = sorted(measured.items())
        # More rows never take less.
        for i in range(len(self.points) - 2, -1, -1):
            rows, seconds = self.points[i]
            self.points[i] = rows, min(seconds, self.points[i + 1][1])

    def of(self, rows):
        before = self.points[0]
        for point in self.points:
            if rows <= point[0]:
                part = (rows - before[0]) / (point[0] - before[0]) if point[0] > before[0] else 1
                return before[1] + part * (point[1] - before[1])
            before = point
        return None  # none that were measured


def best_counts(left, rate, longest, times):
    """How many tokens each sequence guesses for the most tokens a second, the likeliest first: all are right at `rate`."""
    counts, best = [0] * len(left), None
    expected = len(left)
    while (seconds := times.of(len(left) + sum(counts))) is not None:
        if best is None or expected / seconds > best[0]:
            best = expected / seconds, list(counts)
        open_ = [i for i in range(len(left)) if counts[i] < min(longest, left[i] - 1)]
        if not open_:
            break
        likeliest = min(open_, key=lambda i: counts[i])
        counts[likeliest] += 1
        expected += rate ** counts[likeliest]
    return best[1]


def best_rate(times, sequences, new, longest, rate, runs=200):
    """Tokens a second behind the first ones of sequences that begin together, until the last one ends; the mean of runs."""
    chance, seconds = random.Random(2), 0
    for _ in range(runs):
        left = [new - 1] * sequences
        while left:
            counts = best_counts(left, rate, longest, times)
            seconds += times.of(len(left) + sum(counts))
            for i, count in enumerate(counts):
                right = 0
                while right < count and chance.random() < rate:
                    right += 1
                left[i] -= 1 + right
            left = [tokens for tokens in left if tokens > 0]
    return sequences * (new - 1) * runs / seconds
