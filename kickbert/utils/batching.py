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


def pruned(losses: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows of an epoch that leaves out a share of the easy ones: those of a loss below the mean.

    The easy rows that are read stand for those that are not: over the rows read, the mean of a value times the weights
    has the mean of the value over all rows as its expected value (InfoBatch, Qin et al. 2024, section 3.2). The paper's
    weights are of mean 1 over all rows; these are over the rows read, so that a step has the length that it has in an
    epoch of all.

    Args:
        losses: of each row, shape (n,); NaN where it is not known, and such a row is read.
        share: of the easy rows to leave out, in [0, 1).
        rng: draws them.
    Returns:
        Numbers of the rows read, ascending, and the weights of all rows, shape (n,).

    >>> rows, weights = pruned(np.array([0.1, 0.1, 3.0, np.nan]), 0.5, np.random.default_rng(0))
    >>> len(rows), weights.tolist()
    (3, [1.5, 1.5, 0.75, 0.75])
    """
    known = losses[np.isfinite(losses)]
    easy = np.flatnonzero(losses < known.mean()) if len(known) else np.arange(0)
    left_out = rng.choice(easy, int(share * len(easy)), replace=False)
    rows, weights = np.delete(np.arange(len(losses)), left_out), np.ones(len(losses))
    weights[easy] = len(easy) / max(1, len(easy) - len(left_out))
    return rows, weights * len(rows) / max(1, len(losses))
