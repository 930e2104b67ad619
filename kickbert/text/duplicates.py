"""Duplicates and near duplicates of texts, and data leakage across a split."""

from array import array
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
BLOCK = 256  # texts compared at once


def folded(text: str) -> str:
    """Lowercase a text, and make white space single spaces: texts that are equal then are duplicates."""
    return " ".join(text.lower().split())


def duplicates(df: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """List rows with the text of an earlier row, ignoring case and white space."""
    keys = pd.Series([folded(t) for t in texts])
    first = keys.groupby(keys).transform(lambda same: same.index[0]).to_numpy()
    again = np.flatnonzero((first != np.arange(len(texts))) & (keys != "").to_numpy()).tolist()
    shown = [shorten(texts[i], WIDTH) for i in again]
    return pd.DataFrame({"row": df.index[again], "same as row": df.index[first[again]], "text": shown})


def shingles(text: str) -> np.ndarray:
    """Hashes of the different character five-grams of a text, uint32, ascending; one hash for a shorter text.

    Ignores case, white space, and everything after the first 5,000 characters.
    """
    text = folded(text[:READ])
    codes = np.frombuffer(text.ljust(SHINGLE, "\0").encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    hashes = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for offset in range(SHINGLE):
        hashes = hashes * FACTOR + codes[offset : offset + len(hashes)]
    hashes ^= hashes >> np.uint64(31)
    return np.unique((hashes * FACTOR >> np.uint64(32)).astype(np.uint32))


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
        self._sets: list[np.ndarray] = []
        self._rows = _rows_per_band(similar)
        self._by_band: dict[tuple[int, bytes], array[int]] = defaultdict(partial(array, "q"))
        rng = np.random.default_rng(0)
        self._factors, self._shifts = rng.integers(0, 2**64, (2, HASHES, 1), dtype=np.uint64)
        self._factors |= np.uint64(1)

    def add(self, text: str) -> None:
        """Remember a text."""
        members = shingles(text)
        for band in self._bands(members):
            self._by_band[band].append(len(self._sets))
        self._sets.append(members)

    def has_like(self, text: str) -> bool:
        """Return whether a similar text was remembered."""
        return any(True for _ in self.like(text))

    def like(self, text: str, skip: Callable[[np.ndarray], np.ndarray] | None = None) -> Iterator[int]:
        """Yield the numbers of similar texts, in the order in which they were added.

        Args:
            skip: which texts to leave out, a function from numbers to booleans; asked before each block of texts.
        """
        members = shingles(text)
        likely = np.zeros(len(self._sets), dtype=bool)
        for band in self._bands(members):
            likely[np.asarray(self._by_band.get(band, ()), dtype=np.int64)] = True
        candidates = np.flatnonzero(likely)
        for start in range(0, len(candidates), BLOCK):
            block = candidates[start : start + BLOCK]
            yield from self._similar(members, block[~skip(block)] if skip else block).tolist()

    def _similar(self, members: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Those of the numbers whose text has a set similar to `members`."""
        table = np.zeros(2**16, dtype=bool)
        table[members >> 16] = True
        # half of each hash gives an upper bound of the overlap, five times as fast as the binary search
        numbers = self._overlapping(numbers, len(members), lambda hashes: table.take(hashes >> 16))
        return self._overlapping(
            numbers, len(members), lambda hashes: members.take(members.searchsorted(hashes), mode="clip") == hashes
        )

    def _overlapping(self, numbers: np.ndarray, size: int, contains: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Those of the numbers whose set has enough hashes in common with a set of this size."""
        if not len(numbers):
            return numbers
        sets = [self._sets[number] for number in numbers.tolist()]
        sizes = np.array([len(members) for members in sets])
        common = np.add.reduceat(contains(np.concatenate(sets)), np.cumsum(sizes) - sizes, dtype=np.int64)
        return numbers[common >= self.similar * (size + sizes - common)]

    def _bands(self, members: np.ndarray) -> list[tuple[int, bytes]]:
        """The bands of the MinHash of a set, each with its position."""
        sketch = (members * self._factors + self._shifts).min(axis=1)
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
        if key := folded(text):
            rows.setdefault(key, row)
    group = np.arange(len(rows))
    for i, text in enumerate(bar(list(rows), "looking for near duplicates")):
        for j in known.like(text, skip=partial(_connected, group, i)):
            if group[i] != group[j]:
                group[: i + 1][group[: i + 1] == group[i]] = group[j]
        known.add(text)
    by_group = pd.Series(list(rows.values())).groupby(group)
    return [sorted(members) for _, members in by_group if len(members) > 1]


def _connected(group: np.ndarray, i: int, numbers: np.ndarray) -> np.ndarray:
    return group[numbers] == group[i]


def shown_groups(df: pd.DataFrame, texts: Sequence[str], groups: list[list[int]]) -> pd.DataFrame:
    """Show the groups as a table with the columns group, row and text."""
    rows = [(g, df.index[i], shorten(texts[i], WIDTH)) for g, group in enumerate(groups, start=1) for i in group]
    return pd.DataFrame(rows, columns=["group", "row", "text"])


def leaks(texts: Sequence[str], held: np.ndarray, index: pd.Index, groups: list[list[int]]) -> pd.DataFrame:
    """Find data leakage: held-out rows with the same or nearly the same text as a training row.

    Args:
        texts: the texts of all rows, shape (n,).
        held: mask of the held-out rows, bool, shape (n,); the others are training rows.
        index: the index of the rows.
        groups: the result of `near_duplicates` for all texts.
    Returns:
        A table with the columns row, training row, match ("exact" or "near") and text.
    """
    known: dict[str, int] = {}
    for i in np.flatnonzero(~held).tolist():
        known.setdefault(folded(texts[i]), i)
    leaked = {i: (known[folded(texts[i])], "exact") for i in np.flatnonzero(held).tolist() if folded(texts[i]) in known}
    for group in groups:
        outside = [i for i in group if not held[i]]
        for i in group:
            if held[i] and outside and i not in leaked:
                leaked[i] = (outside[0], "near")
    rows = [
        (index[i], index[j], match, shorten(texts[i], WIDTH)) for i, (j, match) in sorted(leaked.items()) if texts[i]
    ]
    return pd.DataFrame(rows, columns=["row", "training row", "match", "text"])
