"""Duplicates and near duplicates of texts, and data leakage across a split."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from kickbert.utils.messages import shorten
from kickbert.utils.progress import bar

WIDTH = 100  # characters of a text in a table
READ = 5_000  # characters of a text that are compared
SHINGLE = 5  # characters
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # of a polynomial hash: odd, and its bits look random
HASHES = 64  # of a MinHash
MARGIN = 0.2  # four standard deviations of the similarity that a MinHash estimates


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def duplicates(df: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """List the rows whose text is in an earlier row too; capitals and white space do not count."""
    folded = pd.Series([_folded(t) for t in texts])
    first = folded.groupby(folded).transform(lambda same: same.index[0]).to_numpy()
    again = np.flatnonzero((first != np.arange(len(texts))) & (folded != "").to_numpy()).tolist()
    shown = [shorten(texts[i], WIDTH) for i in again]
    return pd.DataFrame({"row": df.index[again], "same as row": df.index[first[again]], "text": shown})


def shingles(text: str) -> np.ndarray:
    """Hashes of the different character five-grams of a text, uint64, ascending; one hash for a shorter text.

    Capitals and white space do not count, nor does what follows after 5,000 characters.
    """
    text = _folded(text[:READ])
    codes = np.frombuffer(text.ljust(SHINGLE, "\0").encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    hashes = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for offset in range(SHINGLE):
        hashes = hashes * FACTOR + codes[offset : offset + len(hashes)]
    hashes ^= hashes >> np.uint64(31)
    return np.unique(hashes * FACTOR)


def _rows_per_band(similar: float) -> int:
    """The longest bands that two texts of this similarity still share with a probability of 99%."""
    rows = [r for r in range(1, HASHES + 1) if (1 - similar**r) ** (HASHES // r) <= 0.01]
    return max(rows, default=1)


class NearDuplicates:
    """Remember texts, and find those that share most of their character five-grams with another text.

    Candidates come from MinHash and banding (Broder 1997; Leskovec, Rajaraman and Ullman 2020, section 3.4), which
    find a pair at the limit with a probability of at least 99%. Each is then compared exactly, by its first 5,000
    characters.

    Args:
        similar: minimum Jaccard similarity, between 0 and 1.
    Raises:
        ValueError: `similar` is out of range.

    >>> known = NearDuplicates()
    >>> known.add("the lamp arrived broken and nobody answers my mails")
    >>> known.has_like("The lamp arrived broken and nobody answers my mails!"), known.has_like("where is my refund")
    (True, False)
    """

    def __init__(self, similar: float = 0.8):
        if not 0 < similar < 1:
            raise ValueError(f"similar={similar} is not between 0 and 1; give a Jaccard similarity, such as 0.8")
        self.similar = similar
        self.texts: list[str] = []
        self._sketches: list[np.ndarray] = []
        self._rows = _rows_per_band(similar)
        self._by_band: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        rng = np.random.default_rng(0)
        self._factors, self._shifts = rng.integers(0, 2**64, (2, HASHES, 1), dtype=np.uint64)
        self._factors |= np.uint64(1)

    def add(self, text: str) -> None:
        """Remember a text."""
        sketch = self._sketch(shingles(text))
        for band in self._bands(sketch):
            self._by_band[band].append(len(self.texts))
        self._sketches.append(sketch)
        self.texts.append(text[:READ])

    def has_like(self, text: str) -> bool:
        """Whether a similar text was remembered."""
        return any(True for _ in self.like(text))

    def like(self, text: str, skip: Callable[[int], bool] = lambda number: False) -> Iterator[int]:
        """The numbers of similar texts, in the order in which they were added.

        Args:
            skip: whether to leave a text out, by its number.
        """
        members = shingles(text)
        sketch = self._sketch(members)
        candidates = {number for band in self._bands(sketch) for number in self._by_band.get(band, ())}
        for number in sorted(candidates):
            estimate = np.count_nonzero(self._sketches[number] == sketch) / HASHES
            if estimate < self.similar - MARGIN or skip(number):
                continue
            other = shingles(self.texts[number])  # not kept: the sets of all texts take a hundred times their length
            common = len(np.intersect1d(members, other, assume_unique=True))
            if common >= self.similar * (len(members) + len(other) - common):
                yield number

    def _sketch(self, members: np.ndarray) -> np.ndarray:
        """The MinHash of a set, uint64, shape (HASHES,)."""
        return (members * self._factors + self._shifts).min(axis=1)

    def _bands(self, sketch: np.ndarray) -> list[tuple[int, bytes]]:
        """The bands of a MinHash, each with its position."""
        starts = range(0, HASHES - self._rows + 1, self._rows)
        return [(start, sketch[start : start + self._rows].tobytes()) for start in starts]


def near_duplicates(texts: Sequence[str], similar: float = 0.8) -> list[list[int]]:
    """Find groups of different texts that share most of their character five-grams.

    Args:
        texts: the texts; empty ones are in no group.
        similar: minimum Jaccard similarity, between 0 and 1.
    Returns:
        The row numbers of each group, ascending.
    Raises:
        ValueError: `similar` is out of range.
    """
    known = NearDuplicates(similar)
    rows: dict[str, int] = {}
    for row, text in enumerate(texts):
        if folded := _folded(text):
            rows.setdefault(folded, row)
    parent = list(range(len(rows)))
    for i, text in enumerate(bar(list(rows), "looking for near duplicates")):
        for j in known.like(text, skip=partial(_connected, parent, i)):
            parent[_root(parent, i)] = _root(parent, j)
        known.add(text)
    groups: dict[int, list[int]] = {}
    for i, row in enumerate(rows.values()):
        groups.setdefault(_root(parent, i), []).append(row)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _connected(parent: list[int], i: int, j: int) -> bool:
    return _root(parent, i) == _root(parent, j)


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def shown_groups(df: pd.DataFrame, texts: Sequence[str], groups: list[list[int]]) -> pd.DataFrame:
    """Show the groups as a table with the columns group, row and text."""
    rows = [(g, df.index[i], shorten(texts[i], WIDTH)) for g, group in enumerate(groups, start=1) for i in group]
    return pd.DataFrame(rows, columns=["group", "row", "text"])


def leaks(texts: Sequence[str], held: np.ndarray, index: pd.Index, groups: list[list[int]]) -> pd.DataFrame:
    """Find data leakage: held-out rows whose text, or nearly the same text, is in training too.

    Args:
        texts: the texts of all rows, shape (n,).
        held: which rows are held out, bool, shape (n,); the others are training rows.
        index: the index of the rows.
        groups: the result of `near_duplicates` for all texts.
    Returns:
        A table with the columns row, training row, match ("exact" or "near") and text.
    """
    known: dict[str, int] = {}
    for i in np.flatnonzero(~held).tolist():
        known.setdefault(_folded(texts[i]), i)
    leaked = {
        i: (known[_folded(texts[i])], "exact") for i in np.flatnonzero(held).tolist() if _folded(texts[i]) in known
    }
    for group in groups:
        outside = [i for i in group if not held[i]]
        for i in group:
            if held[i] and outside and i not in leaked:
                leaked[i] = (outside[0], "near")
    rows = [
        (index[i], index[j], match, shorten(texts[i], WIDTH)) for i, (j, match) in sorted(leaked.items()) if texts[i]
    ]
    return pd.DataFrame(rows, columns=["row", "training row", "match", "text"])
