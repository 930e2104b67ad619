"""Batches of nearly equal length contain every row once and stay within the limits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kickbert.data.batching import length_batches

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


def test_the_longest_rows_come_first_and_ties_keep_their_order():
    assert [b.tolist() for b in length_batches(np.array([1, 5, 5, 2]), rows=2)] == [[1, 2], [3, 0]]


def test_without_limits_there_is_one_batch():
    assert [b.tolist() for b in length_batches(np.array([1, 3, 2]))] == [[1, 2, 0]]
    assert list(length_batches(np.array([], dtype=int), tokens=10)) == []
