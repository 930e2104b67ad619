"""What a split is stratified by."""

import numpy as np
import pandas as pd
import pytest

from kickbert.targets.fitting import TargetOptions
from kickbert.targets.kinds import MULTI, REGRESSION, SINGLE
from kickbert.targets.stratification import default_strata, quantiles, strata_of


def test_classes_labels_and_quantiles():
    assert strata_of(pd.Series([1, "b", True]), SINGLE).tolist() == ["1", "b", "True"]
    assert strata_of(pd.Series([["a"], ["a", "b"], []]), MULTI).tolist() == [[1, 0], [1, 1], [0, 0]]
    assert strata_of(pd.Series([[1, 0, 0], [1, 1, 0]]), MULTI).tolist() == [[1, 0], [1, 1]]  # no row has the third
    assert np.bincount(quantiles(np.arange(100.0))).tolist() == [10] * 10


@pytest.mark.parametrize("options", [TargetOptions(bins=4), TargetOptions(task=REGRESSION)])
@pytest.mark.filterwarnings("ignore:.*numbers as text")
def test_numbers_kept_as_text_have_quantiles_too(options):
    numbers = np.random.default_rng(0).integers(1, 100_000, 60)
    text = pd.Series([f"${n:,}" for n in numbers], name="pledged")
    assert (options.read(text).strata == options.read(pd.Series(numbers)).strata).all()
    with pytest.raises(ValueError, match="are no numbers, such as 'free'"):
        options.read(pd.concat([text, pd.Series(["free"])]))


def test_no_quantile_of_few_rows_has_a_single_one():
    for rows in range(2, 40):
        assert np.bincount(quantiles(np.arange(float(rows)))).min() >= 2


def test_numbers_are_no_classes_where_most_rows_have_their_own():
    many = pd.Series([f"{n},50" for n in range(40)])
    assert len(set(default_strata(many, SINGLE))) == 10
    assert set(default_strata(pd.Series([1, 2] * 20), SINGLE)) == {"1", "2"}
    assert len(set(default_strata(pd.Series([f"id {n}" for n in range(40)]), SINGLE))) == 40
