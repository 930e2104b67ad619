"""Write ecommerce_sample.csv: product listings whose class is what the thing is, among mentions of other classes."""

import html
import random
import re

import pandas as pd
from compose import Composer, flip_labels, load_words, misspell, tidy, unique_texts, write_from_command_line

LABELS = {"home": "Household", "book": "Books", "tech": "Electronics", "wear": "Clothing & Accessories"}
SHARES = {"home": 0.34, "book": 0.22, "tech": 0.22, "wear": 0.22}
LABEL_NOISE = 0.05


def mentions(kind: str, composer: Composer) -> dict[str, str]:
    """Things of the three other classes: A, B, C in the plural, D and E in the singular."""
    others = composer.rng.sample([other for other in LABELS if other != kind], 3)
    plurals = {slot: composer.deal(f"{other}.refs") for slot, other in zip("ABC", others, strict=True)}
    return plurals | {slot: composer.deal(f"{other}.item") for slot, other in zip("DE", others[1:], strict=True)}


def mess(text: str, rng: random.Random) -> str:
    """Add what shop exports show: typos, titles in capitals, missing periods, HTML entities."""
    text = misspell(text, rng, rate=0.008)
    draw = rng.random()
    if draw < 0.07:
        text = text.lower()
    elif draw < 0.12:
        text = re.sub(r"^[^.!?]+", lambda m: m[0].upper(), text)
    elif draw < 0.2:
        text = re.sub(r"\.(?= |$)", "", text)
    if rng.random() < 0.12:
        text = html.escape(text)
    return text


def compose_listing(kind: str, composer: Composer) -> str:
    """Compose one listing: a title, and sentences in an order that does not reveal the product."""
    rng = composer.rng
    tail = "{any.tail}" if rng.random() < 0.4 else f"{{{kind}.tail}}"
    own = {"I": composer.deal(f"{kind}.item"), "tail": tail, "stuff": f"{{{kind}.stuff}}"}
    in_title, in_text = mentions(kind, composer), mentions(kind, composer)
    title = tidy(composer.fill(composer.deal("title"), **own, **in_title)) + "."
    slots = rng.choices(("line", "plainline", "own"), (4, 4, 1), k=rng.randint(2, 4))
    parts = [title, *(composer.fill(composer.deal(slot), **own, **in_text) for slot in slots)]
    if rng.random() < 0.3:
        parts.insert(0, composer.fill(composer.deal("hook"), **own, **in_title))
    elif rng.random() < 0.15:
        parts.insert(1, parts.pop(0))
    return mess(tidy(" ".join(parts)), rng)


def make_ecommerce(rows: int, seed: int) -> pd.DataFrame:
    """Make synthetic product listings of four classes.

    Args:
        rows: number of listings.
        seed: the same seed gives the same rows.
    Returns:
        Columns `text` and `label`; `LABEL_NOISE` of the labels are wrong on purpose.
    """
    rng = random.Random(seed)
    composer = Composer(load_words("product_items", "product_texts"), rng)
    kinds = rng.choices(list(SHARES), weights=list(SHARES.values()), k=rows)
    texts = unique_texts(lambda kind: compose_listing(kind, composer), kinds)
    labels = flip_labels([LABELS[kind] for kind in kinds], LABEL_NOISE, rng)
    return pd.DataFrame({"text": texts, "label": labels})


if __name__ == "__main__":
    write_from_command_line(make_ecommerce, rows=2400, seed=12, out="ecommerce_sample.csv")
