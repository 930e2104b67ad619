"""Cells with several labels, in every supported format."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kickbert.targets.fitting import fit_target
from kickbert.targets.label_cells import label_lists, multi_hot_width


def test_labels_in_a_string_or_a_list():
    strings = pd.Series(["b|a", "", None, "c | a", "a||a|"])
    target = fit_target(strings, delim="|")
    assert target.classes == ("a", "b", "c")
    assert target.encode(strings).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 1], [1, 0, 0]]
    lists = fit_target(pd.Series([["R&B|Soul"], ["Rock"], []]))  # labels in a list may contain the delimiter
    assert lists.classes == ("R&B|Soul", "Rock")
    bad, names = target.unknown(pd.Series(["a|new", "b"]))
    assert bad.tolist() == [True, False] and names == ["new"]
    assert target.encode(pd.Series(["a|new"])).tolist() == [[1, 0, 0]]


@given(st.lists(st.lists(st.sampled_from(["abc", "d"]), unique=True), min_size=1))
def test_strings_of_labels_round_trip(rows):
    assert label_lists(pd.Series(["|".join(row) for row in rows], dtype=object), "|") == rows


def test_lists_written_as_text_raise_an_error():
    with pytest.raises(ValueError, match=r"ast\.literal_eval"):
        fit_target(pd.Series(["['a']", "['b']"], name="y"), task="multi-label")


@pytest.mark.parametrize(
    "cells",
    [
        [[1, 0, 1], [0, 1, 0], [0, 0, 0]],
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]],
        [[True, False, True], [False, True, False], [False, False, False]],
        [np.array([1, 0, 1]), (0, 1, 0), None],
        ["1;0;1", "0;1;0", "0;0;0"],
    ],
)
def test_multi_hot_lists_are_multi_label_targets(cells):
    values, how = pd.Series(cells, name="y"), {"delim": ";"} if isinstance(cells[0], str) else {}
    target = fit_target(values, **how)
    assert target.is_multilabel and target.classes == (0, 1, 2)
    assert target.encode(values).tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert fit_target(values, labels=["a", "b", "c"], **how).names == ["a", "b", "c"]
    assert not target.unknown(values)[0].any()


def test_new_multi_hot_lists_are_read_like_training_rows():
    target = fit_target(pd.Series([[1, 0, 1], [0, 1, 0]], name="y"), labels=["a", "b", "c"])
    assert target.encode(pd.Series([[0, 0, 1]])).tolist() == [[0, 0, 1]]
    for bad in ([0, 1], [0, 2, 1], ["a"]):
        with pytest.raises(ValueError, match=r"row 7 of column 'y' holds .* not a list of 3 zeros and ones"):
            target.encode(pd.Series([bad], index=[7], name="y"))
    sets = fit_target(pd.Series([[0], [1, 2], [0, 2]]))  # labels that are numbers
    assert sets.classes == (0, 1, 2) and sets.encode(pd.Series([[0, 1]])).tolist() == [[1, 1, 0]]


def test_multi_hot_lists_of_different_lengths():
    with pytest.raises(ValueError, match=r"with 2 and with 3 positions \(rows 'b' and 'a'\)"):
        multi_hot_width(pd.Series([[1, 0, 1], [1, 1]], index=["a", "b"], name="y"))
    assert multi_hot_width(pd.Series([[0], [0, 1], []])) == 0


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([0.2, 0.5, 0.3], r"row 1 of column 'y' holds \[0\.2, 0\.5, 0\.3\]: training does not take soft labels"),
        (["a", None], "in which a label is missing"),
        (["a", np.nan], "in which a label is missing"),
        (["a", pd.NA], "in which a label is missing"),
        ([{"name": "a"}], "labels are strings, numbers or booleans, not dict"),
    ],
)
def test_lists_with_invalid_labels(cell, message):
    with pytest.raises(ValueError, match=message):
        fit_target(pd.Series([["a", "b"], cell], name="y"))
