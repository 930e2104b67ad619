"""Standardized numeric targets."""

import numpy as np
import pandas as pd

from kickbert.targets.fitting import fit_target


def test_numbers_are_standardized_and_money_on_a_logarithmic_scale():
    even = pd.Series(np.linspace(-5, 5, 50), name="x")
    target = fit_target(even, task="regression")
    assert not target.log and abs(target.encode(even).mean()) < 1e-6
    money = pd.Series(np.exp(np.random.default_rng(0).normal(5, 2, 500)), name="usd")
    target = fit_target(money)
    assert target.log and target.describe() == "regression: 'usd' on a logarithmic scale"
    back = target.frame(target.encode(money)[:, None], target.encode(money), money.index)["predicted_label"]
    assert np.allclose(back, money, rtol=1e-3)
