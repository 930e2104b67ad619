"""Fold assignments: every row is a test row once per repeat, and groups stay together."""

import numpy as np
import pandas as pd
import pytest

from kickbert.data.splits import fold_assignments


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_every_row_is_a_test_row_once_per_repeat(several, grouped):
    rng = np.random.default_rng(0)
    strata = rng.integers(0, 2, (120, 3)) if several else rng.integers(0, 3, 120)
    groups = np.arange(120) // 4 if grouped else np.arange(120)
    parts = fold_assignments(strata, groups, 4, 2, 0.2, 0)
    assert len(parts) == 8
    for repeat in (parts[:4], parts[4:]):
        assert (np.array([p == "test" for p in repeat]).sum(0) == 1).all()
    assert any((a != b).any() for a, b in zip(parts[:4], parts[4:], strict=True))
    for part in parts:
        assert 0.1 < (part == "valid").sum() / (part != "test").sum() < 0.3
        if grouped:
            assert pd.Series(part).groupby(groups).nunique().max() == 1


@pytest.mark.parametrize("how", [(1, 1, 0.1), (200, 1, 0.1), (5, 0, 0.1), (5, 1, 0.0)])
def test_invalid_folds(how):
    with pytest.raises(ValueError, match=r"must be from 2 to 120|must be a share of the rows"):
        fold_assignments(np.zeros(120), np.arange(120), *how, 0)
