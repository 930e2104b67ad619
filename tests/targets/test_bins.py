"""Ordered buckets of a numeric target."""

import numpy as np
import pandas as pd
import pytest

from kickbert.targets.bins import Bins
from kickbert.targets.fitting import fit_target


def test_buckets_have_the_mean_of_their_rows():
    target = fit_target(pd.Series([0.0, 2, 10, 30], name="usd"), bins=[5, 100])
    assert isinstance(target, Bins) and target.centers == (1, 20, 100)  # the last has no rows: its center is its edge
    frame = target.frame(np.array([[0.5, 0.5, 0.0]]), np.array([0]), pd.Index([7]))
    assert frame.columns.tolist()[:3] == ["predicted_label", "confidence", "expected"]
    assert frame.loc[7, "expected"] == pytest.approx(10.5) and frame.loc[7, "predicted_label"] == target.names[0]
