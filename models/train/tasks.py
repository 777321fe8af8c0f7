"""The two adapters' tasks: the same prompt, two ways of answering it.

Held-out examples differ from the training examples in their frames, that is
the sentences around a phrase, and in their companies. Neither these frames nor
these companies occur in any training text, of the base or of an adapter. The
phrases of `events.EVENTS` recur, with other numbers, places and things.
"""

import random

from corpus import FRAMES, HELD_OUT_FRAMES, QUESTION, phrase, prompt
from events import POLARITIES, TOPICS
from words import fillers

TASKS = ["sentiment", "topic"]

# With these beside the base's frames, an adapter meets a phrase at many places
# in the sentence and among many other words.
MORE_FRAMES = [
    "{P}, who owns {pct} percent of {C}, says it {VP}",
    "Late on {day} {C} {VP}",
    "{month} report: {C} {VP}",
    "{P} writes about {C}, which {VP}",
    "{city} stock watch - {C} {VP} - read more",
    "The chief executive of {C}, {P}, says the company {VP}",
    "Investors meet in {city} as {C} {VP}",
    "With {n} workers in {city}, {C} {VP}",
    "{C}, founded in {year}, {VP}",
    "According to {A}, {C} {VP}",
    "{C} {VP}; the next report is due in {month}",
    "{C} {VP}, analysts of {R} say",
    "The news from {C}: it {VP}",
    "{day}, {city}: the company {C} {VP}, {P} writes",
]


def example(rng, topic, polarity, held_out):
    slots = fillers(rng, held_out)
    frame = rng.choice(HELD_OUT_FRAMES if held_out else FRAMES + MORE_FRAMES)
    news = frame.format(VP=phrase(rng, topic, polarity, slots), **slots)
    return {"context": prompt(QUESTION, news), "sentiment": polarity, "topic": topic}


def examples(seed, count, held_out=False):
    """`count` examples, every pair of topic and polarity equally often."""
    rng = random.Random(seed)
    pairs = [(topic, polarity) for topic in TOPICS for polarity in POLARITIES]
    made = [example(rng, *pairs[i % len(pairs)], held_out) for i in range(count)]
    rng.shuffle(made)
    return made


def labelled(rows, task):
    return [{"context": row["context"], "target": row[task]} for row in rows]
