"""How many short rows a second each cleaning step does, one core, all rows different.

    python benchmarks/cleaning.py

Plain rows are sst2's sentences, messy ones SMILE's tweets (links, emoji, entities), marked-up ones the same sentences
in a little HTML each. A step that finds nothing to do leaves a row at once, so a set that has work for it says more.
"""

import argparse
import time

import pandas as pd
from common.sets import FOLDER

from kickbert.text.cleaning import PRESETS, STEPS, Cleaner

LEMMAS = "text_lemmatizer"


def columns() -> dict[str, list[str]]:
    """The rows, by name."""
    plain = pd.read_csv(FOLDER / "sst2.csv.gz")["text"].drop_duplicates().tolist()
    tweets = pd.read_csv(FOLDER / "smile.csv.gz")["text"].drop_duplicates().tolist()
    marked = [f'<p class="review">{text}</p>&nbsp;<br/>{i}' for i, text in enumerate(plain)]
    return {"plain": plain, "messy": tweets, "marked up": marked}


def rate(cleaner: Cleaner, texts: list[str], rounds: int = 3) -> float:
    """Rows a second, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        cleaner.apply(texts)
        best = min(best, time.perf_counter() - start)
    return len(texts) / best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lemma-rows", type=int, default=5_000, help="rows for the lemmatizer, which is slower")
    args = parser.parse_args()
    sets = columns()
    print("| step | " + " | ".join(f"{name}, rows/s" for name in sets) + " |")
    print("|---" * (1 + len(sets)) + "|")
    ways: dict[str, list[str]] = {name: [name] for name in STEPS}
    ways |= {f"{name}, without lemmas": [s for s in steps if s != LEMMAS] for name, steps in PRESETS.items()}
    for name, steps in ways.items():
        cleaner, cut = Cleaner(steps), args.lemma_rows if LEMMAS in steps else None
        cleaner.apply(["Warm-up: <b>é&amp;</b>"])  # imports and look-up tables are loaded at the first row
        print(f"| {name} | " + " | ".join(f"{rate(cleaner, texts[:cut]):,.0f}" for texts in sets.values()) + " |")


if __name__ == "__main__":
    main()
