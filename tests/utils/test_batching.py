"""Batches of nearly equal length hold every row once, within what is allowed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kickbert.utils.batching import length_batches, pruned

ROW_LENGTHS = st.lists(st.integers(0, 50), max_size=40).map(np.array)


@given(ROW_LENGTHS, st.integers(1, 200), st.integers(1, 9), st.integers(0, 60))
def test_every_row_is_in_one_batch_and_no_batch_is_too_large(lengths, tokens, rows, padding):
    batches = list(length_batches(lengths, tokens=tokens, rows=rows, padding=padding))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = lengths[batch].max()
        assert len(batch) <= rows
        if len(batch) > 1:
            assert longest * len(batch) <= tokens and (longest - lengths[batch]).sum() <= padding


def test_the_longest_rows_come_first_and_equal_ones_in_their_order():
    assert [b.tolist() for b in length_batches(np.array([1, 5, 5, 2]), rows=2)] == [[1, 2], [3, 0]]


def test_without_limits_there_is_one_batch():
    assert [b.tolist() for b in length_batches(np.array([1, 3, 2]))] == [[1, 2, 0]]
    assert list(length_batches(np.array([], dtype=int), tokens=10)) == []


def test_the_weighted_mean_of_the_rows_read_is_on_average_that_of_all():
    rng = np.random.default_rng(0)
    losses, values = rng.exponential(size=50), rng.normal(size=50)
    losses[::7] = np.nan
    estimates = []
    for _ in range(4_000):
        rows, weights = pruned(losses, 0.6, rng)
        estimates.append(np.mean((weights * values)[rows]))
    assert abs(np.mean(estimates) - values.mean()) < 3 * np.std(estimates) / np.sqrt(len(estimates)) < 0.02
    assert np.isclose(weights[rows].mean(), 1)


@given(st.lists(st.one_of(st.floats(0, 9), st.just(np.nan), st.just(np.inf)), max_size=30), st.floats(0, 0.99))
def test_only_easy_rows_are_left_out_and_as_many_as_asked_for(losses, share):
    losses = np.array(losses, dtype=float)
    rows, weights = pruned(losses, share, np.random.default_rng(0))
    known = losses[np.isfinite(losses)]
    easy = losses < known.mean() if len(known) else np.zeros(len(losses), bool)
    left_out = np.setdiff1d(np.arange(len(losses)), rows)
    assert easy[left_out].all() and len(left_out) == int(share * easy.sum())
    assert len(weights) == len(losses) and np.isfinite(weights).all()
