"""Write letters_sample.csv: long letters of a jury in which three late sentences contain the decision."""

import random

import pandas as pd
from compose import Composer, flip_labels, load_words, misspell, tidy, unique_texts, write_from_command_line

LABELS = {"accepted": 0.35, "revise": 0.3, "rejected": 0.35}
LABEL_NOISE = 0.03
SENTENCES = (22, 38)  # minimum and maximum per letter
KINDS = {"summary": 8, "praise": 5, "complaint": 5, "aside": 6}
DECIDING = 3  # sentences of the decision
EARLIEST = 0.4  # none of them comes before this share of the letter


def compose_letter(label: str, composer: Composer) -> str:
    """Put together one letter; praise and complaint say nothing about the decision."""
    rng = composer.rng
    count = rng.randint(*SENTENCES)
    kinds = rng.choices(list(KINDS), weights=list(KINDS.values()), k=count)
    parts = [f"{{{kind}}}" for kind in kinds]
    for _ in range(DECIDING):
        parts.insert(rng.randint(round(EARLIEST * count), count), f"{{{label}}}")
    text = " ".join(["{salutation}", "{opening}", *parts, "{closing}"])
    return misspell(tidy(composer.fill(text)), rng, rate=0.005)


def make_letters(rows: int, seed: int) -> pd.DataFrame:
    """Make synthetic letters labeled by their decision.

    Args:
        rows: number of letters.
        seed: the same seed gives the same rows.
    Returns:
        Columns `text` and `label`; `LABEL_NOISE` of the labels are wrong on purpose.
    """
    rng = random.Random(seed)
    composer = Composer(load_words("letter_parts"), rng)
    labels = rng.choices(list(LABELS), weights=list(LABELS.values()), k=rows)
    texts = unique_texts(lambda label: compose_letter(label, composer), labels)
    return pd.DataFrame({"text": texts, "label": flip_labels(labels, LABEL_NOISE, rng)})


if __name__ == "__main__":
    write_from_command_line(make_letters, rows=900, seed=3, out="letters_sample.csv")
