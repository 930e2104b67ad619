"""Slices of rows by column, length and language, on predictions with known mistakes."""

import numpy as np
import pytest

from kickbert.evaluation.data_slices import slices
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
