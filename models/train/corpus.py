"""The general text: what the base is trained on.

A document is a list of segments. Segments are encoded one by one, as a client
does that sends a prompt and reads an answer; text is one segment, a question
and its answer are two.

Four kinds of documents:
- articles: a headline, then sentences that agree with it in topic and in
  polarity. From these the base learns which phrases belong together.
- market notes: the words "positive", "negative" and "neutral", and the names
  of the topics, in use; never beside a phrase of `events.EVENTS`.
- questions in the prompt's shape, about the company, the day or the city.
  The sentiment question is among them with an answer drawn at random: the
  base learns that it is answered with one of three words, and nothing else.
- plain notes on companies, people and the weather.
"""

import random

from events import DETAILS, EVENTS, POLARITIES, REACTIONS, TOPICS
from words import CITIES, COLOURS, DAYS, SECTORS, WEATHER, fillers

QUESTION = "What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}."

# Headlines of the base's articles and of the adapters' training data.
FRAMES = [
    "{C} {VP}",
    "{C} {VP}, {P} says",
    "{day} news: {C} {VP}",
    "In {city}, {C} {VP}",
    "{C} of {city} {VP}",
    "{C} {VP}, says {A}",
    "Update: {C} {VP}",
    "{city} newspaper: {C} {VP}",
    "This {day} {C} {VP}",
    "{C}, a rival of {R}, {VP}",
    "{C} {VP}, the company said on {day}",
    "As {month} ends, {C} {VP}",
]

# Headlines of the held-out data only.
HELD_OUT_FRAMES = [
    "On {day}, {C} {VP}, a note from {A} shows",
    "{P} of {C} says the company {VP}",
    "News from {city}: the board of {C} {VP}",
    "{A}: {C} {VP}",
    "Founded in {year}, {C} {VP}",
    "Traders in {city} read that {C} {VP}",
    "{C} {VP} in {month}, {P} of {R} writes",
    "{month} update, {city}: {C} {VP}",
]

BODY = ["The company {VP}.", "{C} {VP}.", "It also {VP}.", "Last {month} it {VP}, {P} says.", "At the same time {C} {VP}."]

FILLER = [
    "{C} was founded in {year} in {city}.",
    "The company has {n} workers.",
    "{P} has led {C} since {year}.",
    "Its main rival is {R} of {city2}.",
    "The next report is due in {month}.",
    "{A} owns {pct} percent of {C}.",
    "{C} has a {place} in {city} and another in {city2}.",
]

MARKET = {
    "positive": ["The mood in {city} is positive.", "{A} takes a positive view of {R}.", "The outlook for {month} is positive, {P} says."],
    "negative": ["The mood in {city} is negative.", "{A} takes a negative view of {R}.", "The outlook for {month} is negative, {P} says."],
    "neutral": ["The mood in {city} is neutral.", "{A} takes a neutral view of {R}.", "The outlook for {month} is neutral, {P} says."],
}

DIARY = ["{day}: {T} of {C}.", "The {T} desk in {city} calls {P} at {pct} past nine.", "{P} writes about {T} for {A}.", "Read more on {T} on page {pct}."]

NOTES = [
    "{P} and {P2} meet in {city} on {day}.",
    "It will be a day of {weather} in {city}, with {weather2} in {city2}.",
    "The {colour} {item} stands next to the {colour2} {item2}.",
    "{P} was born in {year} and lives in {city}.",
    "A train leaves {city} for {city2} at {pct} past ten.",
    "{P} buys {n} shares of {C} and sells {pct} shares of {R}.",
    "In {month} {P} paints the {place} {colour}.",
]


def phrase(rng, topic, polarity, slots, pool=EVENTS):
    return rng.choice(pool[topic, polarity]).format(**slots)


def sentence(rng, slots, held_out=False):
    """Fresh people, places and numbers for a sentence about the same company."""
    again = fillers(rng, held_out)
    again["C"], again["R"] = slots["C"], slots["R"]
    return again


def article(rng, held_out=False):
    topic, polarity = rng.choice(TOPICS), rng.choice(POLARITIES)
    slots = fillers(rng, held_out)
    frame = rng.choice(FRAMES)
    text = frame.format(VP=phrase(rng, topic, polarity, slots), **slots) + "\n"
    body = []
    for _ in range(rng.randint(2, 5)):
        slots = sentence(rng, slots, held_out)
        kind = rng.random()
        if kind < 0.4:
            body.append(rng.choice(BODY).format(VP=phrase(rng, topic, polarity, slots), **slots))
        elif kind < 0.7:
            body.append(rng.choice(REACTIONS[polarity]).format(**slots))
        elif kind < 0.82:
            body.append(rng.choice(DETAILS[topic]).format(**slots))
        else:
            body.append(rng.choice(FILLER).format(**slots))
    return [text + " ".join(body)]


def market_note(rng, held_out=False):
    slots = fillers(rng, held_out)
    if rng.random() < 0.4:
        lines = [rng.choice(DIARY).format(T=rng.choice(TOPICS), **sentence(rng, slots, held_out)) for _ in range(3)]
        return [" ".join(lines)]
    polarity = rng.choice(POLARITIES)
    lines = []
    for _ in range(rng.randint(3, 5)):
        pool = MARKET if rng.random() < 0.5 else REACTIONS
        lines.append(rng.choice(pool[polarity]).format(**sentence(rng, slots, held_out)))
    return ["Market note. " + " ".join(lines)]


def prompt(question, news):
    return f"Instruction: {question}\nInput: {news}\nAnswer: "


def options(rng, right, pool):
    """Three answers to choose from, the right one among them."""
    others = rng.sample([word for word in pool if word != right], 2) + [right]
    rng.shuffle(others)
    return "Please choose an answer from {" + "/".join(others) + "}."


def question(rng, held_out=False):
    slots = fillers(rng, held_out)
    vp = phrase(rng, rng.choice(TOPICS), rng.choice(POLARITIES), slots)
    kind = rng.randrange(6)
    if kind == 0:
        return [prompt("What is the company of this news?", rng.choice(FRAMES).format(VP=vp, **slots)), slots["C"]]
    if kind == 1:
        sector = slots["C"].split()[1]
        asked = "What is the sector of this news? " + options(rng, sector, SECTORS)
        return [prompt(asked, rng.choice(FRAMES).format(VP=vp, **slots)), sector]
    if kind == 2:
        asked = "What is the day of this news? " + options(rng, slots["day"], DAYS)
        return [prompt(asked, f"{slots['day']} news: {slots['C']} {vp}"), slots["day"]]
    if kind == 3:
        frame = rng.choice(["In {city}, {C} {VP}", "{city} newspaper: {C} {VP}", "{C} of {city} {VP}"])
        asked = "What is the city of this news? " + options(rng, slots["city"], CITIES)
        return [prompt(asked, frame.format(VP=vp, **slots)), slots["city"]]
    return [prompt(QUESTION, rng.choice(FRAMES).format(VP=vp, **slots)), rng.choice(POLARITIES)]


def note(rng, held_out=False):
    lines = []
    for _ in range(rng.randint(2, 4)):
        more, slots = fillers(rng, held_out), fillers(rng, held_out)
        slots |= {"P2": more["P"], "item2": more["item"], "colour": rng.choice(COLOURS), "colour2": rng.choice(COLOURS)}
        slots |= {"weather": rng.choice(WEATHER), "weather2": rng.choice(WEATHER)}
        lines.append(rng.choice(NOTES).format(**slots))
    return [" ".join(lines)]


def document(rng, held_out=False):
    kind = rng.random()
    if kind < 0.60:
        return article(rng, held_out)
    if kind < 0.70:
        return market_note(rng, held_out)
    if kind < 0.90:
        return question(rng, held_out)
    return note(rng, held_out)


def documents(seed, count):
    rng = random.Random(seed)
    return [document(rng) for _ in range(count)]
