"""Batches of rows of nearly equal length, for what runs without shuffling: caching, probing, predicting."""

from collections.abc import Iterator

import numpy as np


def length_batches(
    lengths: np.ndarray, *, tokens: int | None = None, rows: int | None = None, padding: int | None = None
) -> Iterator[np.ndarray]:
    """Group rows of nearly equal length into batches, the longest rows first.

    Args:
        lengths: in tokens, of each row, shape (n,).
        tokens: of a batch at most, padding counted; a longer row is a batch by itself.
        rows: of a batch at most.
        padding: tokens of padding of a batch at most: rows that would bring more go into the next one.
    Yields:
        Row numbers of a batch.

    >>> [batch.tolist() for batch in length_batches(np.array([2, 9, 3, 8]), tokens=18)]
    [[1, 3], [2, 0]]
    >>> [batch.tolist() for batch in length_batches(np.array([2, 9, 3, 8]), rows=3, padding=1)]
    [[1, 3], [2, 0]]
    """
    order, at = np.argsort(-np.asarray(lengths), kind="stable"), 0
    while at < len(order):
        longest = max(1, int(lengths[order[at]]))
        most = min(rows or len(order), max(1, tokens // longest) if tokens else len(order))
        end = at + min(most, len(order) - at)
        if padding is not None:
            added = np.cumsum(longest - lengths[order[at:end]])
            end = at + max(1, int(np.searchsorted(added, padding, side="right")))
        yield order[at:end]
        at = end
