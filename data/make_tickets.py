"""Write tickets_sample.csv: messages to a shop, each about no, one, or several topics."""

import random

import pandas as pd
from compose import Composer, load_words, misspell, tidy, unique_texts, write_from_command_line

# Uneven on purpose: each topic of a message is drawn with this weight.
MATTERS = {
    "billing": 24, "delivery": 22, "refund": 15, "login": 12, "crash": 10, "warranty": 8, "feature": 6, "privacy": 3,
}  # fmt: skip
COUNT = {0: 0.08, 1: 0.47, 2: 0.32, 3: 0.13}
LABEL_NOISE = 0.02  # rows in which one label is missing
MENTIONS = 0.55  # messages that mention another topic as fine


def draw_matters(rng: random.Random) -> list[str]:
    """Different topics, in the order in which the message mentions them."""
    count = rng.choices(list(COUNT), weights=list(COUNT.values()))[0]
    found: list[str] = []
    while len(found) < count:
        matter = rng.choices(list(MATTERS), weights=list(MATTERS.values()))[0]
        if matter not in found:
            found.append(matter)
    return found


def compose_ticket(matters: list[str], composer: Composer) -> str:
    """Put together one message."""
    rng = composer.rng
    parts = [f"{{{matter}.want}}" for matter in matters]
    others = [m for m in MATTERS if m not in matters]
    for matter in rng.sample(others, rng.choice((1, 2)) if rng.random() < MENTIONS or not parts else 0):
        parts.insert(rng.randrange(len(parts) + 1), f"{{{matter}.fine}}")
    linked = [parts[0], *(f"{{link}} {part}" if rng.random() < 0.4 else part for part in parts[1:])]
    opening = ["{hello}"] if rng.random() < 0.7 else []
    closing = ["{bye}"] if rng.random() < 0.6 else []
    text = tidy(composer.fill(" ".join([*opening, *linked, *closing])))
    return misspell(text.lower() if rng.random() < 0.2 else text, rng, rate=0.01)


def make_tickets(rows: int, seed: int) -> pd.DataFrame:
    """Make synthetic messages with their topics.

    Args:
        rows: number of messages.
        seed: the same seed gives the same rows.
    Returns:
        Columns `text` and `labels`, the topics in alphabetical order joined by "|", empty for none.
    """
    rng = random.Random(seed)
    composer = Composer(load_words("ticket_sentences"), rng)
    matters = [draw_matters(rng) for _ in range(rows)]
    texts = unique_texts(lambda found: compose_ticket(found, composer), matters)
    for found in rng.sample([m for m in matters if m], round(LABEL_NOISE * rows)):
        found.remove(rng.choice(found))
    return pd.DataFrame({"text": texts, "labels": ["|".join(sorted(found)) for found in matters]})


if __name__ == "__main__":
    write_from_command_line(make_tickets, rows=2400, seed=5, out="tickets_sample.csv")
