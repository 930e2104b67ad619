"""Write kickstarter_sample.csv: campaigns whose pledged amount depends on the combination of ambition and proof."""

import math
import random
import re
from datetime import date, timedelta

import pandas as pd
from compose import Composer, load_words, misspell, tidy, unique_texts, write_from_command_line

# Median log10 dollars of a campaign of each category, and how often the category occurs.
CATEGORIES = {
    "Technology": (3.7, 11), "Design": (3.7, 9), "Games": (3.65, 11), "Film & Video": (3.35, 12), "Music": (3.25, 12),
    "Publishing": (3.1, 9), "Theater": (3.2, 5), "Food": (3.3, 7), "Art": (2.95, 7), "Comics": (3.3, 5),
    "Fashion": (3.2, 6), "Crafts": (2.85, 5), "Photography": (2.95, 3), "Journalism": (2.9, 3),
}  # fmt: skip
# Added to log10 dollars by reach and proof: grand plans depend on proof, a single product profits from it, and a
# small local cause does not need it.
EFFECT = {
    "grand": {"strong": 1.35, "unsaid": 0.0, "weak": -1.25},
    "plain": {"strong": 0.7, "unsaid": 0.1, "weak": -0.55},
    "local": {"strong": -0.35, "unsaid": -0.4, "weak": -0.55},
}
REACH = {"grand": 0.45, "plain": 0.43, "local": 0.12}
PROOF = {"strong": 0.44, "unsaid": 0.12, "weak": 0.44}
SPREAD = 0.25  # standard deviation of log10 dollars that the text says nothing about
LABEL_NOISE = 0.06  # share of rows whose amount belongs to some other row
FASHION = 0.3  # standard deviation of the noise, as a share of the ranks
MOST = 500_000
FIRST_DAY, LAST_DAY = date(2009, 5, 1), date(2017, 12, 31)
ROUND_GOALS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5, 8, 10)


def draw(weights: dict[str, float], rng: random.Random) -> str:
    """Pick a key with probability proportional to its weight."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def money(category: str, reach: str, proof: str, rng: random.Random) -> tuple[float, float]:
    """Goal and pledged amount, in US dollars; the text never shows the goal."""
    typical = CATEGORIES[category][0]
    level = typical + EFFECT[reach][proof] + rng.gauss(0, SPREAD)
    wish = typical + {"grand": 0.9, "plain": 0.25, "local": -0.2}[reach] + rng.gauss(0, 0.3)
    goal = min(ROUND_GOALS, key=lambda step: abs(math.log10(step) - wish % 1)) * 10 ** int(wish)
    nobody = 0.3 if level < 1.9 else 0.06 if level < 2.6 else 0.0
    pledged = 0.0 if rng.random() < nobody else min(10**level, MOST)
    cents = rng.random() < 0.25
    return float(goal), round(pledged, 2) if cents else float(round(pledged))


def type_campaign(name: str, blurb: str, rng: random.Random) -> tuple[str, str]:
    """Add what creators type: missing periods, names in capitals or lowercase, typos in the blurb."""
    blurb = misspell(blurb, rng, rate=0.006)
    if rng.random() < 0.25:
        blurb = blurb.rstrip(".")
    if rng.random() < 0.08:
        blurb = blurb.lower()
    case = rng.random()
    name = name.upper() if case < 0.04 else name.lower() if case < 0.08 else name
    return name + (" (Canceled)" if rng.random() < 0.02 else ""), blurb


def compose_campaign(kind: tuple[str, str, str], composer: Composer) -> tuple[str, str]:
    """Name and blurb of one campaign of the given category, reach and proof."""
    category, reach, proof = kind
    rng = composer.rng
    thing = composer.deal(f"{category}.thing")
    capital = re.sub(r"\b[a-z]", lambda m: m[0].upper(), thing)
    fixed = {"thing": thing, "twist": f"{{{category}.twist}}", "reach": f"{{{reach}}}", "proof": f"{{{proof}}}"}
    fixed |= {"a thing": f"A {capital}", "cap.thing": capital, "proper": composer.fill("{proper}")}
    name = tidy(composer.fill(composer.deal("name"), **fixed))
    blurb = tidy(composer.fill(composer.deal("blurb"), **fixed))
    return type_campaign(name, blurb, rng)


def swap_amounts(rows: list[tuple[float, float]], share: float, rng: random.Random) -> list[tuple[float, float]]:
    """Pass the pledged amounts of `share` of the rows around among them; goals stay."""
    chosen = rng.sample(range(len(rows)), round(share * len(rows)))
    swapped = list(rows)
    for i, j in zip(chosen, chosen[1:] + chosen[:1], strict=True):
        swapped[i] = (rows[i][0], rows[j][1])
    return swapped


def in_fashion(days: list[date], pledged: list[float], rng: random.Random) -> list[date]:
    """Give the later days to campaigns that raised more, with noise: crowdfunding came into fashion."""
    order = sorted(range(len(pledged)), key=lambda i: pledged[i])
    place = {row: rank / len(order) + rng.gauss(0, FASHION) for rank, row in enumerate(order)}
    by_row = dict(zip(sorted(place, key=place.__getitem__), sorted(days), strict=True))
    return [by_row[row] for row in range(len(days))]


def make_kickstarter(rows: int, seed: int) -> pd.DataFrame:
    """Make synthetic crowdfunding campaigns.

    Args:
        rows: number of campaigns.
        seed: the same seed gives the same rows.
    Returns:
        Columns `name`, `blurb`, `category`, `goal` and `pledged` (US dollars), `launched` (ISO date);
        `LABEL_NOISE` of the rows carry the amount of another row.
    """
    rng = random.Random(seed)
    composer = Composer(load_words("campaign_things", "campaign_texts"), rng)
    often = {name: weight for name, (_, weight) in CATEGORIES.items()}
    kinds = [(draw(often, rng), draw(REACH, rng), draw(PROOF, rng)) for _ in range(rows)]
    texts = unique_texts(lambda kind: compose_campaign(kind, composer), kinds)
    amounts = swap_amounts([money(*kind, rng) for kind in kinds], LABEL_NOISE, rng)
    span = (LAST_DAY - FIRST_DAY).days
    days = [FIRST_DAY + timedelta(days=rng.randint(0, span)) for _ in range(rows)]
    columns = zip(kinds, texts, amounts, in_fashion(days, [pledged for _, pledged in amounts], rng), strict=True)
    table = [(*text, kind[0], *amount, day.isoformat()) for kind, text, amount, day in columns]
    return pd.DataFrame(table, columns=["name", "blurb", "category", "goal", "pledged", "launched"])


if __name__ == "__main__":
    write_from_command_line(make_kickstarter, rows=3000, seed=13, out="kickstarter_sample.csv")
