"""Texts that stand in a table more than once, and held-out rows that training has seen."""

import numpy as np
import pandas as pd
import pytest

from kickbert.text.duplicates import duplicates, leaks, near_duplicates, shown_groups

SOUP = "the soup tasted of summer and the bread came warm to the table by the window"
TEXTS = [SOUP, "a dull film", f" {SOUP.upper()}", f"{SOUP}!", "", "", "something else altogether"]


def test_exact_duplicates_aside_from_capitals_and_white_space():
    table = duplicates(pd.DataFrame(index=list("abcdefg")), TEXTS)
    assert table[["row", "same as row"]].to_numpy().tolist() == [["c", "a"]]  # rows without text are no duplicates


def test_near_duplicates_are_grouped_and_shown():
    pytest.importorskip("datasketch", reason="the extra kickbert[report] is not installed")
    groups = near_duplicates(TEXTS)
    assert groups == [[0, 3]]
    shown = shown_groups(pd.DataFrame(index=range(7)), TEXTS, groups)
    assert shown[["group", "row"]].to_numpy().tolist() == [[1, 0], [1, 3]]
    assert near_duplicates(TEXTS, similar=0.99) == [] and near_duplicates([]) == []
    with pytest.raises(ValueError, match=r"similar=1 is not between 0 and 1; give the least Jaccard similarity"):
        near_duplicates(TEXTS, similar=1)


def test_leaks_are_held_out_rows_that_training_has_too():
    held = np.array([False, False, True, True, False, True, True])
    table = leaks(TEXTS, held, pd.RangeIndex(7), [[0, 3]])
    assert table[["row", "training row", "match"]].to_numpy().tolist() == [
        [2, 0, "exact"],
        [3, 0, "near"],
    ]
