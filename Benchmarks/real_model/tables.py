"""Markdown, and what stands in its cells."""

import sys


def row(*cells):
    print("|", " | ".join(cells), "|", flush=True)


def header(*cells):
    row(*cells)
    row("---", *["---:"] * (len(cells) - 1))


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def kl(value):
    return f"{value:.1e}" if value > 1e-12 else "0"


def share(value):
    return f"{100 * value:.1f} %"
