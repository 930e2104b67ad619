"""Strata of splits."""

import numpy as np
import pandas as pd
import pytest

from kickbert.targets.binning import quantiles
from kickbert.targets.fitting import read_target
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.targets.options import TargetOptions
from kickbert.targets.stratification import default_strata


def test_classes_labels_and_quantiles():
    assert Labels.strata(pd.Series([1, "b", True])).tolist() == ["1", "b", "True"]
    assert MultiLabels.strata(pd.Series([["a"], ["a", "b"], []])).tolist() == [[1, 0], [1, 1], [0, 0]]
    assert MultiLabels.strata(pd.Series([[1, 0, 0], [1, 1, 0]])).tolist() == [
        [1, 0],
        [1, 1],
    ]  # no row has the third label
    assert np.bincount(quantiles(np.arange(100.0))).tolist() == [10] * 10


@pytest.mark.parametrize("options", [TargetOptions(bins=4), TargetOptions(task="regression")])
@pytest.mark.filterwarnings("ignore:.*numbers as text")
def test_numbers_stored_as_text_have_quantile_strata(options):
    numbers = np.random.default_rng(0).integers(1, 100_000, 60)
    text = pd.Series([f"${n:,}" for n in numbers], name="pledged")
    assert (read_target(text, options).strata == read_target(pd.Series(numbers), options).strata).all()
    with pytest.raises(ValueError, match="are not numbers, such as 'free'"):
        read_target(pd.concat([text, pd.Series(["free"])]), options)


def test_no_quantile_has_a_single_row():
    for rows in range(2, 40):
        assert np.bincount(quantiles(np.arange(float(rows)))).min() >= 2


def test_mostly_unique_numbers_are_not_classes():
    many = pd.Series([f"{n},50" for n in range(40)])
    assert len(set(default_strata(many))) == 10
    assert set(default_strata(pd.Series([1, 2] * 20))) == {"1", "2"}
    assert len(set(default_strata(pd.Series([f"id {n}" for n in range(40)])))) == 40
