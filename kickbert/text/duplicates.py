"""Texts that stand in a table more than once, word for word or nearly, and across a split."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.utils.extras import require
from kickbert.utils.messages import shorten
from kickbert.utils.progress import bar

WIDTH = 100  # characters of a text in a table
READ = 5_000  # characters of a text that `NearDuplicates` compares
PERMUTATIONS = 64  # of a MinHash


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def duplicates(df: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """Rows whose text stands in an earlier row too, capitals and white space aside."""
    folded = pd.Series([_folded(t) for t in texts])
    first = folded.groupby(folded).transform(lambda same: same.index[0]).to_numpy()
    again = np.flatnonzero((first != np.arange(len(texts))) & (folded != "").to_numpy())
    shown = [shorten(texts[i], WIDTH) for i in again]
    return pd.DataFrame({"row": df.index[again], "same as row": df.index[first[again]], "text": shown})


def _shingles(text: str) -> set[bytes]:
    return {text[i : i + 5].encode() for i in range(max(1, len(text) - 4))}


def near_duplicates(texts: Sequence[str], similar: float = 0.8) -> list[list[int]]:
    """Groups of different texts that share most of their character five-grams.

    Candidates by MinHash and locality-sensitive hashing (Broder 1997; datasketch), each then measured.

    Args:
        similar: least Jaccard similarity, between 0 and 1.
    Returns:
        Row numbers of each group, the group's first row first.
    Raises:
        ValueError: a similarity out of range.
    """
    if not 0 < similar < 1:
        raise ValueError(f"similar={similar} is not between 0 and 1; give the least Jaccard similarity, such as 0.8")
    require("datasketch", extra="report")
    from datasketch import MinHash, MinHashLSH

    first = {}
    for i, text in enumerate(texts):
        if folded := _folded(text):
            first.setdefault(folded, i)
    places, unique = list(first.values()), list(first)
    parent = list(range(len(unique)))
    index = MinHashLSH(threshold=min(similar, 0.9), num_perm=PERMUTATIONS)  # more than that, it has too few bands
    for i in bar(range(len(unique)), "looking for near duplicates"):
        own, sketch = _shingles(unique[i]), MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch(list(own))
        for j in index.query(sketch):
            if _root(parent, i) == _root(parent, j):
                continue
            other = _shingles(unique[j])  # made again: to keep those of all texts takes a hundred times their length
            if len(own & other) >= similar * len(own | other):
                parent[_root(parent, i)] = _root(parent, j)
        index.insert(i, sketch)
    groups: dict[int, list[int]] = {}
    for i in range(len(unique)):
        groups.setdefault(_root(parent, i), []).append(places[i])
    return [sorted(group) for group in groups.values() if len(group) > 1]


class NearDuplicates:
    """Texts that came before, and whether another one is nearly one of them: most of its five-grams are the same.

    Exact, and few sets are compared, by prefix filtering (Chaudhuri, Ganti and Kaushik 2006, section 3): in an order of
    all members, two sets that are alike have one in common among the first few of each. It is for texts that come one
    by one; `near_duplicates` groups those of a whole table.

    Args:
        similar: Jaccard similarity from which two texts are nearly the same, 0 to 1.

    >>> known = NearDuplicates()
    >>> known.add("the lamp arrived broken and nobody answers my mails")
    >>> known.has_like("The lamp arrived broken and nobody answers my mails!"), known.has_like("where is my refund")
    (True, False)
    """

    def __init__(self, similar: float = 0.8):
        self.similar = similar
        self._sets: list[set[bytes]] = []
        self._by_member: dict[bytes, list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        """Remember a text."""
        members = _shingles(_folded(text[:READ]))
        for member in self._prefix(members):
            self._by_member[member].append(len(self._sets))
        self._sets.append(members)

    def has_like(self, text: str) -> bool:
        """Whether one like it was remembered."""
        members = _shingles(_folded(text[:READ]))
        likely = {i for member in self._prefix(members) for i in self._by_member.get(member, ())}
        others = (self._sets[i] for i in likely)
        return any(len(members & other) >= self.similar * len(members | other) for other in others)

    def _prefix(self, members: set[bytes]) -> list[bytes]:
        """So many members, in the order of their hashes, that two sets which are alike share one of them."""
        alike = math.ceil(self.similar * len(members) - 1e-9)  # 0.8 * 15 is a little over 12
        return sorted(members, key=hash)[: len(members) - alike + 1]


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def shown_groups(df: pd.DataFrame, texts: Sequence[str], groups: list[list[int]]) -> pd.DataFrame:
    """The groups as a table: group, row, text."""
    rows = [(g, df.index[i], shorten(texts[i], WIDTH)) for g, group in enumerate(groups, start=1) for i in group]
    return pd.DataFrame(rows, columns=["group", "row", "text"])


def leaks(texts: Sequence[str], held: np.ndarray, index: pd.Index, groups: list[list[int]]) -> pd.DataFrame:
    """Data leakage: held-out rows whose text stands in training too, word for word or nearly.

    Args:
        texts: of all rows, shape (n,).
        held: which of them are held out, bool, shape (n,); the others are training rows.
        index: what the rows are called, shape (n,).
        groups: what `near_duplicates` found among all texts.
    Returns:
        row, training row, match ("exact" or "near"), text.
    """
    known: dict[str, int] = {}
    for i in np.flatnonzero(~held):
        known.setdefault(_folded(texts[i]), i)
    leaked = {i: (known[_folded(texts[i])], "exact") for i in np.flatnonzero(held) if _folded(texts[i]) in known}
    for group in groups:
        outside = [i for i in group if not held[i]]
        for i in group:
            if held[i] and outside and i not in leaked:
                leaked[i] = (outside[0], "near")
    rows = [
        (index[i], index[j], match, shorten(texts[i], WIDTH)) for i, (j, match) in sorted(leaked.items()) if texts[i]
    ]
    return pd.DataFrame(rows, columns=["row", "training row", "match", "text"])
