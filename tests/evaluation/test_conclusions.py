"""The summary agrees with the scores and claims only significant differences."""

import numpy as np
import pandas as pd
import pytest

from kickbert import evaluate
from kickbert.evaluation.conclusions import FEW, few_rows, no_majority, summarize
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import compare_scores
from kickbert.targets.fitting import fit_target
from kickbert.targets.labels import OrderedLabels

NAMES = ["low", "middle", "high"]


def ordered(y_true: list[int], y_pred: list[int]) -> Predictions:
    probs = np.eye(3)[y_pred]
    return Predictions(OrderedLabels(tuple(NAMES)), probs, np.array(y_pred), np.array(y_true))


def differences(model: tuple[float, float], linear: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame([model, linear], ["majority", "TF-IDF + linear model"], ["low", "high"])


SCORES = pd.DataFrame(
    {"model": 0.629, "low": 0.58, "high": 0.67, "majority": 0.242, "TF-IDF + linear model": 0.59},
    index=["accuracy", "quadratic kappa"],
)
CLASSES = pd.DataFrame({"class": ["a", "b"], "recall": [0.75, 0.5], "rows": [4, 2]})


@pytest.mark.parametrize(
    ("linear", "outcome"),
    [
        ((0.01, 0.1), " and TF-IDF plus a linear model (59.0%)."),
        ((-0.05, 0.1), ". No significant difference from TF-IDF plus a linear model (59.0%)."),
        ((-0.2, -0.1), ". Less accurate than TF-IDF plus a linear model (59.0%), which costs less to run."),
    ],
)
def test_a_difference_is_claimed_only_beyond_chance(linear, outcome):
    predictions = Predictions.from_probabilities(list("aaabab"), np.eye(2)[[0, 0, 0, 1, 1, 0]], ["a", "b"])
    how_good, beside, weak = summarize(predictions, SCORES, differences((0.3, 0.4), linear), CLASSES, None)
    assert how_good == "Accuracy 62.9% on 6 rows (95% interval: 58.0% to 67.0%)."
    assert beside == f"More accurate than always guessing the largest class (24.2%){outcome}"
    assert weak.startswith("Lowest recall: 'b', 50.0% of 2 rows. More labeled rows for this class would help")


def test_ordered_classes_are_judged_by_kappa():
    close, far = ordered([0, 0, 1, 1, 2, 2], [0, 1, 1, 0, 2, 1]), ordered([0, 0, 1, 1, 2, 2], [0, 2, 1, 1, 2, 0])
    assert compare_scores(close, far, rounds=5).loc["difference", "score"] > 0  # although fewer rows are correct
    assert compare_scores(close, close, rounds=5).loc["difference"].tolist() == [0, 0, 0]


def test_what_would_help_depends_on_the_rows_of_training():
    never = ordered([0, 0, 1, 2, 2], [0, 0, 0, 2, 2])
    classes = pd.DataFrame({"class": NAMES, "recall": [1.0, 0.0, 1.0], "rows": [2, 1, 2]})

    def weakness(training) -> str:
        return summarize(never, SCORES, pd.DataFrame(), classes, training)[-1]

    assert weakness(np.repeat([0, 1, 2], [500, 7, 500])) == (
        "Never predicted: 'middle' (1 row). More labeled rows for this class would help most (training had 7)."
    )
    assert 'class_weights="balanced", more epochs, or training all layers' in weakness(
        np.repeat([0, 1, 2], [900, 200, 900])
    )
    assert "What may help: more epochs, or training all layers" in weakness(np.repeat([0, 1, 2], [300, 300, 300]))


def test_a_good_model_gets_no_advice():
    predictions = ordered([0, 1, 2], [0, 1, 2])
    classes = pd.DataFrame({"class": NAMES, "recall": 1.0, "rows": 1})
    assert summarize(predictions, SCORES, pd.DataFrame(), classes, None)[-1] == (
        "Lowest recall: 'low', 100.0% of 1 row."
    )


def test_numbers_have_a_typical_error():
    target = fit_target(pd.Series([1.0, 2.0, 3.0, 10.0]), task="regression")
    codes = target.standardize(np.array([1.0, 2.0, 3.0]))
    outputs = target.standardize(np.array([1.5, 2.5, 3.0])).reshape(-1, 1)
    with pytest.warns(UserWarning, match="3 rows are too few"):
        evaluation = evaluate(Predictions(target, outputs, outputs, codes), rounds=5)
    assert evaluation.summary[0].startswith("Explains 75.0% of the variance of 3 rows")
    assert evaluation.summary[1] == "Half of the predictions are within 0.5 of the true value."


def test_the_constant_guess_of_ordered_classes_is_their_median():
    predictions = ordered([0, 1, 2], [0, 1, 2])
    classes = pd.DataFrame({"class": NAMES, "recall": 1.0, "rows": 1})
    comparison = summarize(predictions, SCORES, differences((0.3, 0.4), (0.3, 0.4)), classes, None)[1]
    assert "than always guessing the median class (0.24)" in comparison


def test_a_main_score_without_an_interval():
    predictions = ordered([0, 1, 2], [0, 1, 2])
    classes = pd.DataFrame({"class": NAMES, "recall": 1.0, "rows": 1})
    scores = SCORES.assign(model=1.0, low=np.nan, high=np.nan)
    assert summarize(predictions, scores, pd.DataFrame(), classes, None)[0].startswith(
        "Quadratic kappa 1.00 on 3 rows (no interval: all bootstrap samples are equal)"
    )


def test_a_tie_for_the_largest_class_is_named():
    assert no_majority([]) == []
    assert no_majority(["a", "b"]) == [
        "No comparison with the majority class: 'a', 'b' are equally frequent in training"
    ]


def test_few_rows_cause_a_warning_and_a_note(recwarn):
    probs = np.tile([[0.4, 0.6], [0.9, 0.1]], (FEW // 2, 1))
    enough = evaluate([1, 0] * (FEW // 2), probs, rounds=2)
    assert not recwarn.list and few_rows(FEW) == "" and "too few" not in repr(enough)
    with pytest.warns(UserWarning, match="49 rows are too few for a reliable score; hold out at least 50"):
        few = evaluate(([1, 0] * (FEW // 2))[1:], probs[1:], rounds=2)
    assert few.notes[0] == few_rows(49) and few_rows(49) in repr(few) and few_rows(49) in few.to_json()


def test_five_scores_are_shown_and_all_are_kept(recwarn):
    evaluation = evaluate([1, 0] * 30, np.tile([[0.4, 0.6], [0.9, 0.1]], (30, 1)), rounds=2)
    assert evaluation.shown()["score"].tolist() == [
        "accuracy", "macro-F1", "balanced accuracy", "ROC-AUC", "expected calibration error",
    ]  # fmt: skip
    assert len(evaluation.to_frame()) == 17 and "60 rows; .scores has 12 more scores" in repr(evaluation)
    assert "weighted-recall" not in repr(evaluation) and evaluation["weighted-recall"] == evaluation["accuracy"] == 1
