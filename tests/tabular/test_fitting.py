"""Fitting: training rows get the scores of trees that did not see them, and a predictor needs no scikit-learn."""

import subprocess
import sys

import numpy as np
import pytest
from helpers.campaigns import campaigns

from kickbert.tabular.columns import Category, Number
from kickbert.tabular.fitting import fit_columns
from kickbert.targets.fitting import fit_target


def test_few_rows_and_the_same_seed():
    df = campaigns(4)
    target = fit_target(df["label"])
    columns = [Category("category", ("Games", "Art", "Food")), Number("goal")]
    results = [fit_columns(df, columns, target, target.encode(df["label"]), seed=1)[1] for _ in range(2)]
    assert np.isfinite(results[0]).all() and np.array_equal(*results)


@pytest.mark.system
def test_a_predictor_needs_no_scikit_learn():
    code = "import sys, kickbert.inference.predictor; print({'sklearn', 'scipy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
