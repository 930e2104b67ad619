"""Rows are looked up in the segments of a store."""

import pytest
import torch

from kickbert.cache.states import Store, View


def filled(lengths: list[int], segments: int = 1) -> Store:
    """Make a store in which row i holds the numbers i.00, i.01, …, spread over segments."""
    store = Store(1, False)
    for number in range(segments):
        at, states = 0, []
        for i in range(number, len(lengths), segments):
            store.positions[bytes([i])] = (number, at, lengths[i])
            states += [[i + 0.01 * j] for j in range(lengths[i])]
            at += lengths[i]
        store.segments.append(torch.tensor(states))
        store.where.append("memory")
    return store


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_rows_are_read_from_any_segment(segments):
    lengths = [3, 1, 5, 2, 4, 2]
    view = filled(lengths, segments).view([bytes([i]) for i in range(6)])
    out = view.gather([4, 0, 3])
    assert out.shape == (3, 4, 1)
    for row, i in zip(out, [4, 0, 3], strict=True):
        assert row[: lengths[i], 0].tolist() == pytest.approx([i + 0.01 * j for j in range(lengths[i])])
    assert isinstance(view, View) and view.store.read == 9


def test_an_unknown_row_raises():
    with pytest.raises(KeyError):
        filled([3, 1]).view([bytes([0]), b"another"])


def test_bytes_are_counted_by_place():
    store = filled([3, 1, 5], segments=2)
    store.where[1] = "file"
    assert store.tokens == 9 and store.nbytes() == 9 * 4
    assert (store.nbytes("memory"), store.nbytes("file"), store.nbytes("gpu")) == (8 * 4, 4, 0)


def test_equal_rows_share_their_states():
    store = filled([3, 1])
    out = store.view([bytes([1]), bytes([0]), bytes([1])]).gather([0, 2])
    assert torch.equal(out[0], out[1]) and out.shape == (2, 1, 1)
