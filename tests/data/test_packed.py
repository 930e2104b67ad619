"""Packed sequences are selected, concatenated and padded without changing a value."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from kickbert.data.packed import Packed, by_document
from kickbert.text.tokenization import PAD


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=9), min_size=1, max_size=12), st.data())
def test_gather_and_take_keep_each_row(rows, data):
    packed = Packed.of([np.array(r, dtype=np.int32) for r in rows])
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=20))
    out = packed.gather(chosen, fill=-1)
    longest = max(len(rows[i]) for i in chosen)
    assert out.tolist() == [rows[i] + [-1] * (longest - len(rows[i])) for i in chosen]
    both = packed.take(chosen) + packed
    assert [both.row(i).tolist() for i in range(len(both))] == [rows[i] for i in chosen] + rows


def test_gather_keeps_the_width_of_states():
    packed = Packed.of([np.ones((n, 3), dtype=np.float32) for n in (2, 5)])
    out = packed.gather([1, 0])
    assert out.shape == (2, 5, 3) and out[1, 2:].eq(0).all() and out.sum() == 7 * 3


def test_an_empty_pack():
    packed = Packed.of([])
    assert len(packed) == 0 and packed.gather([]).shape == (0, 0) and len(packed.take([])) == 0


def test_windows_stay_with_their_document():
    packed = Packed.of([np.arange(n, dtype=np.int32) for n in (3, 2, 4)], np.array([0, 2, 3]))
    assert packed.sizes.tolist() == [5, 4] and packed.of_documents([1, 0]) == [2, 0, 1]
    both = packed.take([1]) + packed
    assert both.sizes.tolist() == [4, 5, 4] and both.first.tolist() == [0, 1, 3, 4]
    x = by_document(torch.tensor([[1, 2], [3, 4], [5, 6]]), np.array([2, 1]))
    assert x.tolist() == [[[1, 2], [3, 4]], [[5, 6], [PAD, PAD]]]
