"""Compose seeded synthetic text from small word files: slots, inline choices, typing noise."""

import argparse
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd

T = TypeVar("T")
HERE = Path(__file__).resolve().parent
SLOT = re.compile(r"\{([^{}]*)\}")
# "a" before a vowel letter becomes "an", except where it sounds like "you" or "won"; HDMI and MP3 are spelled out
VOWEL = r"(?!uni|use|usu|usb|uti|eu|one\b|once|ure|uk)[aeiou]|hour|honest|heir|hdmi|mp3"
ARTICLE = re.compile(rf"\b(a) (?=[\"(]?(?:{VOWEL}))", re.IGNORECASE)


def load_words(*names: str) -> dict[str, list[str]]:
    """Read word files from `words/`: `[slot]` headers, then fillers divided by `|` or line ends, `#` for remarks.

    Args:
        names: file names without `.txt`; together they fill one table.
    Returns:
        Slot name to its fillers. A filler may hold `{slot}` or an inline choice `{this/that}`.
    Raises:
        ValueError: a slot is given twice, or fillers come before the first header.
    """
    words: dict[str, list[str]] = {}
    for name in names:
        slot = None
        for line in (HERE / "words" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                slot = line.strip("[] ")
                if slot in words:
                    raise ValueError(f"{name}.txt: slot [{slot}] is given twice; merge the two lists")
                words[slot] = []
            elif line.strip() and not line.startswith("# "):
                if slot is None:
                    raise ValueError(f"{name}.txt: {line!r} comes before the first [slot] header")
                words[slot] += [part.strip() for part in line.split("|") if part.strip()]
    return words


class Composer:
    """Fill templates from a table of words; every filler of a slot is dealt once before any is dealt again.

    Dealing from a shuffled deck, not drawing with replacement, keeps rows diverse and words from repeating in a row.

    Args:
        words: slot name to fillers, as `load_words` gives them.
        rng: the only source of randomness.
    """

    def __init__(self, words: Mapping[str, list[str]], rng: random.Random) -> None:
        self.words, self.rng = words, rng
        self.decks: dict[str, list[str]] = {}

    def deal(self, slot: str) -> str:
        """Take the next filler of `slot`, unexpanded; KeyError for a slot that no word file has."""
        if not self.decks.get(slot):
            self.decks[slot] = self.rng.sample(self.words[slot], len(self.words[slot]))
        return self.decks[slot].pop()

    def fill(self, template: str, **fixed: str) -> str:
        """Expand `{slot}` and `{this/that}` until none is left; `fixed` overrides slots and may itself hold slots."""

        def expand(match: re.Match[str]) -> str:
            inside = match[1]
            if "/" in inside:
                return self.rng.choice(inside.split("/"))
            return fixed[inside] if inside in fixed else self.deal(inside)

        while SLOT.search(template):
            template = SLOT.sub(expand, template, count=1)
        return template


def tidy(text: str) -> str:
    """Fix what joining pieces breaks: a/an, spaces, doubled stops, a capital after each full stop.

    >>> tidy("a umbrella , a unicorn. it is  a hour late..")
    'An umbrella, a unicorn. It is an hour late.'
    """
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.;:!?])(?=\s|$)", r"\1", text)
    text = re.sub(r"(?<!\.)([.!?])\.(?=\s|$)", r"\1", text)
    text = ARTICLE.sub(r"\1n ", text)
    return re.sub(r"(^|(?<!\.)[.!?] )([a-z])", lambda m: m[1] + m[2].upper(), text)


def typo(word: str, rng: random.Random) -> str:
    """Swap, drop or double one inner letter of a word of five letters or more, leave others unchanged."""
    if len(word) < 5 or not word.isalpha():
        return word
    i = rng.randrange(1, len(word) - 2)
    kinds = (word[:i] + word[i + 1] + word[i] + word[i + 2 :], word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:])
    return rng.choice(kinds)


def misspell(text: str, rng: random.Random, rate: float) -> str:
    """Put a `typo` into each word with probability `rate`."""
    return " ".join(typo(word, rng) if rng.random() < rate else word for word in text.split(" "))


def unique_texts(make: Callable[[T], str], kinds: Sequence[T], tries: int = 20) -> list[str]:
    """Call `make(kind)` for each row, and up to `tries` times more for a row whose text came up before."""
    seen: set[str] = set()
    texts = []
    for kind in kinds:
        text = make(kind)
        for _ in range(tries):
            if text not in seen:
                break
            text = make(kind)
        seen.add(text)
        texts.append(text)
    return texts


def flip_labels(labels: list[str], share: float, rng: random.Random) -> list[str]:
    """Give exactly `share` of the labels, chosen at random, another value: the noise that no classifier can learn."""
    names = sorted(set(labels))
    flipped = list(labels)
    for i in rng.sample(range(len(labels)), round(share * len(labels))):
        flipped[i] = rng.choice([name for name in names if name != labels[i]])
    return flipped


def write_from_command_line(make: Callable[[int, int], pd.DataFrame], *, rows: int, seed: int, out: str) -> None:
    """Parse `--rows`, `--seed` and `--out`, call `make(rows, seed)`, write the CSV."""
    parser = argparse.ArgumentParser(description=make.__doc__.splitlines()[0] if make.__doc__ else None)
    parser.add_argument("--rows", type=int, default=rows, help="number of rows (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=seed, help="seed of all randomness (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE / out, help=f"default: {out} next to the script")
    args = parser.parse_args()
    df = make(args.rows, args.seed)
    # an explicit line end, so that every system writes the same bytes
    df.to_csv(args.out, index=False, lineterminator="\n", encoding="utf-8")
    print(f"{len(df)} rows -> {args.out}")
