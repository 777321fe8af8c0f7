"""Slot fillers: the invented companies, and the everyday words of a newsroom.

Company names are built from syllables. A stem is assigned to one of ten
buckets by its checksum; buckets 0 and 1 are kept for the held-out data, so no
held-out company occurs in any training text, of the base or of an adapter.
"""

import zlib

STARTS = "Bar Bel Cal Cor Dal Dor Ed Fal Gar Hal Har Jor Kel Kor Lan Lor Mar Mel Nor Or Pel Quin Ral Ren Sal Sol Tam Tor Ul Var Vel Wil Yor Zan".split()
MIDDLES = ["", "", "a", "e", "i", "o", "en", "in", "ba", "de", "la", "mi", "ro", "ti"]
ENDS = "berg dale don ford gate ham ix land ley mont ness nor ova rick ston strom tec ton vale wick".split()
SECTORS = "Steel Foods Energy Motors Bank Airlines Pharma Software Mining Stores Telecom Insurance Chemicals Shipping Paper Hotels".split()

FIRST = "Anna Boris Clara David Elena Frank Greta Hugo Irene Jonas Karen Louis Maria Nadia Oscar Paula Robert Sara Thomas Vera".split()
LAST = "Adler Brook Castro Dunn Ellis Fox Grant Holt Ivers Jansen Keller Lund Moreno Novak Ortega Price Quist Reyes Stone Turner".split()
CITIES = "Oslo Lima Turin Porto Delhi Osaka Cairo Perth Lyon Boston Dublin Geneva Madrid Vienna Seoul Nairobi Toronto Prague Athens Chicago".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday".split()
MONTHS = "January February March April May June July August September October November December".split()
QUARTERS = ["first-quarter", "second-quarter", "third-quarter", "fourth-quarter", "half-year", "full-year"]
PLACES = ["plant", "mill", "warehouse", "depot", "office", "terminal", "laboratory", "branch"]
ITEMS = ["engine", "battery", "pump", "tablet", "sensor", "vaccine", "truck", "turbine", "scanner", "payment card", "cable", "printer"]
COLOURS = ["red", "blue", "green", "white", "grey", "black", "yellow"]
WEATHER = ["rain", "snow", "fog", "sun", "wind", "frost", "hail"]


def held_out_stem(stem):
    return zlib.crc32(stem.encode()) % 10 < 2


def company(rng, held_out=False):
    while True:
        stem = rng.choice(STARTS) + rng.choice(MIDDLES) + rng.choice(ENDS)
        if held_out_stem(stem) == held_out:
            return f"{stem} {rng.choice(SECTORS)}"


def fillers(rng, held_out=False):
    """One consistent choice for every slot a template may name."""
    name = company(rng, held_out)
    rival = company(rng, held_out)
    return {
        "C": name,
        "R": rival,
        "P": f"{rng.choice(FIRST)} {rng.choice(LAST)}",
        "A": f"{rng.choice(LAST)} {rng.choice(['Partners', 'Capital', 'Research'])}",
        "city": rng.choice(CITIES),
        "city2": rng.choice(CITIES),
        "day": rng.choice(DAYS),
        "month": rng.choice(MONTHS),
        "Q": rng.choice(QUARTERS),
        "place": rng.choice(PLACES),
        "item": rng.choice(ITEMS),
        "pct": str(rng.randint(2, 39)),
        "n": str(rng.choice([40, 60, 80, 90, 120, 150, 200, 250, 300, 400, 450, 500, 600, 700, 800, 900])),
        "m": f"${rng.randint(2, 95)} million",
        "cents": f"{rng.randint(5, 90)} cents",
        "year": str(rng.randint(1950, 2019)),
    }
