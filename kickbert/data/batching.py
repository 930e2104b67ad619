"""Batches of rows of nearly equal length."""

from collections.abc import Iterator

import numpy as np

NOISE = 0.05  # noise of 5% on lengths before sorting, so that batches differ between epochs


def length_batches(
    lengths: np.ndarray, *, tokens: int | None = None, rows: int | None = None, padding: int | None = None
) -> Iterator[np.ndarray]:
    """Group rows of nearly equal length into batches, the longest rows first.

    Args:
        lengths: tokens of each row, shape (n,).
        tokens: maximum tokens per batch, padding included; a longer row is a batch of its own.
        rows: maximum rows per batch.
        padding: maximum padding tokens per batch; rows that would add more go to the next one.
    Yields:
        Row numbers of a batch.

    >>> [batch.tolist() for batch in length_batches(np.array([2, 9, 3, 8]), tokens=18)]
    [[1, 3], [2, 0]]
    >>> [batch.tolist() for batch in length_batches(np.array([2, 9, 3, 8]), rows=3, padding=1)]
    [[1, 3], [2, 0]]
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    at = 0
    while at < len(order):
        longest = max(1, int(lengths[order[at]]))
        max_rows = min(rows or len(order), max(1, tokens // longest) if tokens else len(order))
        end = at + min(max_rows, len(order) - at)
        if padding is not None:
            added = np.cumsum(longest - lengths[order[at:end]])
            end = at + max(1, int(np.searchsorted(added, padding, side="right")))
        yield order[at:end]
        at = end


def bucketed(lengths: np.ndarray, bs: int, rng: np.random.Generator) -> np.ndarray:
    """A random order of rows in which each `bs` successive rows have nearly the same length.

    Args:
        lengths: tokens of each row, shape (n,).
        bs: batch size.
    Returns:
        The order, shape (n,); only the last batch is short.
    """
    order = np.argsort(lengths * rng.uniform(1 - NOISE, 1 + NOISE, len(lengths)), kind="stable")
    full = len(order) - len(order) % bs
    # The rows of the short batch are drawn at random, or it would hold the longest ones in each epoch.
    odd = rng.choice(len(order), len(order) - full, replace=False)
    batches = np.delete(order, odd).reshape(-1, bs)
    return np.concatenate([rng.permutation(batches).ravel(), order[odd]])
