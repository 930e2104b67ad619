"""Which rows an epoch reads, and which make a batch: of nearly equal length, or some of each class."""

from collections.abc import Iterator

import numpy as np

NOISE = 0.05  # lengths are blurred by 5 % before sorting, so that batches differ from epoch to epoch


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


def bucketed(lengths: np.ndarray, bs: int, rng: np.random.Generator) -> np.ndarray:
    """A random order of rows for length bucketing: each `bs` successive rows are of nearly the same length.

    Args:
        lengths: tokens of each row, shape (n,).
        bs: rows a batch.
    Returns:
        The order, shape (n,); only its last batch is short.
    """
    order = np.argsort(lengths * rng.uniform(1 - NOISE, 1 + NOISE, len(lengths)), kind="stable")
    full = len(order) - len(order) % bs
    # The odd rows are drawn from everywhere, or the same longest ones would meet in the short batch each epoch.
    odd = rng.choice(len(order), len(order) - full, replace=False)
    batches = np.delete(order, odd).reshape(-1, bs)
    return np.concatenate([rng.permutation(batches).ravel(), order[odd]])


def draw_rows(targets: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a batch: all where they fit; else two or more of each of as many classes as fit, drawn anew each time.

    Args:
        targets: class numbers, shape (n,), or zeros and ones, shape (n, labels), of which rows are drawn as they come.
        most: rows of the batch.
    """
    order = rng.permutation(len(targets))
    if len(order) <= most or targets.ndim == 2:
        return order[:most]
    classes = rng.permutation(np.unique(targets))[: most // 2]
    each = max(2, most // len(classes))
    chosen = [order[targets[order] == c][:each] for c in classes]
    return np.concatenate(chosen)[:most]
