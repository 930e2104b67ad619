"""Predictions with known mistakes."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.predictions import Predictions
from kickbert.targets.fitting import fit_target


@pytest.fixture
def mistakes() -> Predictions:
    """400 rows of three classes; half of the rows with the plan "free" are wrong, and their texts contain "urgent"."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 3, 400)
    plan = np.where(rng.random(400) < 0.3, "free", "paid")
    wrong = (plan == "free") & (rng.random(400) < 0.5)
    y_pred = np.where(wrong, (y_true + 1) % 3, y_true)
    probs = np.full((400, 3), 0.1)
    probs[np.arange(400), y_pred] = 0.8
    probs[7, y_pred[7]] = 0.95
    probs /= probs.sum(1, keepdims=True)
    names = ["bug", "praise", "question"]
    words = rng.choice(["table", "window", "garden", "street"], (400, 4))
    texts = [f"{' '.join(w)} {'urgent' if bad else 'calm'} number" for w, bad in zip(words, wrong, strict=True)]
    df = pd.DataFrame(
        {"text": texts, "label": np.array(names)[y_true], "plan": plan, "price": rng.lognormal(3, 1, 400)}
    )
    df.index += 1000
    return Predictions(fit_target(df["label"]), probs, y_pred, y_true, texts, df)
