"""Slices of rows by column, length and language, on predictions with known mistakes."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.data_slices import _ranges, slices, weak_slices
from kickbert.evaluation.predictions import Predictions


def test_the_weak_slice_is_named(mistakes):
    pytest.importorskip("py3langid")
    table = slices(mistakes)
    assert table["slice"].iloc[0] == "plan: free" and table["p"].iloc[0] < 1e-6
    inside = (mistakes.df["plan"] == "free").to_numpy()
    assert table["accuracy"].iloc[0] == pytest.approx((~mistakes.wrong[inside]).mean())
    assert table["slice"].str.startswith("price: ").sum() == 5 and not table["slice"].str.startswith("text").any()
    only = slices(mistakes, ["price"], languages=False)
    assert only["slice"].str.match("price|words").all() and (only["p"] > 0.01).all()


def test_slices_with_few_rows_are_left_out():
    y_true = np.zeros(100, dtype=int)
    predictions = Predictions.from_probabilities(y_true, np.tile([0.8, 0.2], (100, 1)))
    assert slices(predictions).empty


def test_only_slices_below_the_rest_are_weak(mistakes):
    assert weak_slices(mistakes)["slice"].tolist() == ["plan: free"]
    assert weak_slices(mistakes, ["plan"]).empty
    assert (slices(mistakes)["p"] < 0.05).sum() > 1  # "plan: paid" is better than the rest


def test_ranges_do_not_overlap():
    values = pd.Series([*range(10), *[10.5] * 5, *range(20, 40), np.nan])
    names = pd.Series(_ranges(values))
    bounds = [(float(n.split(" to ")[0]), float(n.split(" to ")[-1])) for n in names.unique() if n != "missing"]
    bounds.sort()
    assert all(high < low for (_, high), (low, _) in pairwise(bounds)) and names.iloc[-1] == "missing"
    assert set(_ranges(pd.Series([3] * 40))) == {"3"}
