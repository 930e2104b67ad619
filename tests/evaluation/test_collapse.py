"""A model that has learned too little is recognized by its predictions, and longer training is advised."""

import numpy as np
import pandas as pd

from kickbert.evaluation.collapse import collapsed
from kickbert.evaluation.conclusions import summarize
from kickbert.evaluation.predictions import Predictions

NAMES = ["low", "middle", "high"]
SCORES = pd.DataFrame({"model": [0.3], "low": 0.2, "high": 0.4}, index=["accuracy"])


def test_a_collapsed_model_needs_longer_training_and_not_more_rows():
    y_true = np.tile([0, 1, 2], 10)
    classes = pd.DataFrame({"class": NAMES, "recall": [0.0, 1.0, 0.0], "rows": 10})
    few = np.repeat([0, 1, 2], [7, 7, 7])

    def advice(probs: np.ndarray, training: np.ndarray | None = few, longer: tuple | None = None) -> str:
        predictions = Predictions.from_probabilities(y_true, probs)
        return summarize(predictions, SCORES, pd.DataFrame(), classes, training, longer)[-1]

    one = advice(np.tile([0.3, 0.4, 0.3], (30, 1)))
    assert (
        one.startswith("The model predicts '1' for all 30 rows. Train longer: learner_from_df(") and "--epochs 8" in one
    )
    assert "More labeled rows" not in one
    assert "(1, 16)" in advice(np.tile([0.3, 0.4, 0.3], (30, 1)), None, (1, 16))
    rng = np.random.default_rng(0)
    flat = advice(rng.dirichlet([2000, 2000, 2000], 30))
    assert flat.startswith("The probabilities are no better than the class frequencies of the training rows. Train")
    overconfident = np.full((30, 3), 1e-9)
    overconfident[np.arange(30), np.where(np.arange(30) % 5, y_true, (y_true + 1) % 3)] = 1
    assert "Never predicted" in advice(overconfident) or "Lowest recall" in advice(overconfident)  # 80% are correct


def test_few_rows_or_rows_of_one_class_are_no_collapse():
    assert collapsed(Predictions.from_probabilities([0, 1] * 9, np.tile([0.6, 0.4], (18, 1))), None) == ""
    assert collapsed(Predictions.from_probabilities([0] * 30, np.tile([0.6, 0.4], (30, 1))), None) == ""
    assert collapsed(Predictions.from_probabilities([0, 1] * 15, np.tile([0.6, 0.4], (30, 1))), None)
