"""Labels of any type, known and unknown."""

import numpy as np
import pandas as pd
import pytest

from kickbert.targets.fitting import fit_target


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([2, 1, 2], (1, 2)),
        ([True, False, True], (False, True)),
        ([1.0, 2.0, 1.0], (1.0, 2.0)),
        (pd.Categorical(["low", "high", "low"], categories=["low", "mid", "high"]), ("low", "high")),
        (["a", 1, "a"], (1, "a")),
    ],
)
def test_labels_of_any_type_round_trip(values, classes):
    series = pd.Series(values, name="label")
    target = fit_target(series)
    assert target.classes == classes and target.task == "single label"
    codes = target.encode(series)
    assert codes.dtype == np.int64
    back = target.decode(codes)
    assert back == list(values) and [type(b) for b in back] == [type(c) for c in pd.Series(list(values)).tolist()]


def test_unknown_labels_are_detected():
    target = fit_target(pd.Series(["a", "b"] * 3))
    later = pd.Series(["a", "new", "b"], index=[7, 8, 9])
    assert target.encode(later).tolist() == [0, -1, 1]
    bad, names = target.unknown(later)
    assert bad.tolist() == [False, True, False] and names == ["new"]


def test_booleans_beside_numbers_would_be_one_class():
    with pytest.raises(ValueError, match="column 'y' holds booleans beside numbers, and True equals 1"):
        fit_target(pd.Series([1, True, 0, "a"] * 3, name="y", dtype=object))
