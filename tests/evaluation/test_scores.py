"""Each score is scikit-learn's, on random and on degenerate rows, and under weights that of the repeated rows."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as skm
from torchmetrics.functional.classification import multiclass_calibration_error

from kickbert.evaluation.scores import (
    ExpectedCalibrationError,
    Ranking,
    class_scores,
    label_scores,
    number_scores,
    per_class,
    top_label,
)

pytestmark = pytest.mark.filterwarnings("ignore")


@st.composite
def classes(draw):
    """Rows of 2 to 5 classes: some absent, ties in the probabilities, often one class alone predicted."""
    k, n = draw(st.integers(2, 5)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    y_true = rng.integers(0, draw(st.integers(1, k)), n)
    probs = rng.integers(1, draw(st.sampled_from([2, 4, 100])) + 1, (n, k)).astype(float)
    probs /= probs.sum(1, keepdims=True)
    y_pred = np.zeros(n, dtype=int) if draw(st.booleans()) else probs.argmax(1)
    return y_true, probs, y_pred


def expected(y_true, probs, y_pred) -> dict[str, float]:
    k = probs.shape[1]
    out = {
        "accuracy": skm.accuracy_score(y_true, y_pred),
        "balanced accuracy": skm.balanced_accuracy_score(y_true, y_pred),
        "MCC": skm.matthews_corrcoef(y_true, y_pred),
        "log loss": skm.log_loss(y_true, probs, labels=range(k)),
        "Brier score": skm.brier_score_loss(y_true, probs, labels=range(k)),
        "quadratic kappa": skm.cohen_kappa_score(y_true, y_pred, weights="quadratic"),
        "mean absolute error, buckets": skm.mean_absolute_error(y_true, y_pred),
    }
    for average in ("macro", "micro", "weighted"):
        for name, metric in (("precision", skm.precision_score), ("recall", skm.recall_score), ("F1", skm.f1_score)):
            out[f"{average}-{name}"] = metric(y_true, y_pred, average=average, zero_division=0)
    both = [c for c in range(k) if 0 < (y_true == c).sum() < len(y_true)]
    for name, metric in (("ROC-AUC", skm.roc_auc_score), ("average precision", skm.average_precision_score)):
        out[name] = np.mean([metric(y_true == c, probs[:, c]) for c in both]) if both else np.nan
    return out


@given(classes())
def test_scores_of_classes(rows):
    scores, reference = class_scores(*rows, ordered=True)(np.ones(len(rows[0]))), expected(*rows)
    for name, value in reference.items():
        assert scores[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name
    places = 15 * rows[1].max(1)
    if (abs(places - places.round()) > 1e-4).all():  # torchmetrics rounds to float32, which side of a bin's edge it is
        probs_, ids = torch.from_numpy(rows[1]), torch.from_numpy(rows[0])
        torchs = multiclass_calibration_error(probs_, ids, num_classes=rows[1].shape[1], n_bins=15, norm="l1")
        assert scores["expected calibration error"] == pytest.approx(float(torchs), abs=1e-6)


@given(classes(), st.integers(0, 1000))
def test_weights_are_repeated_rows(rows, seed):
    n = len(rows[0])
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n))
    weighed = class_scores(*rows, ordered=True)(counts.astype(float))
    repeated = expected(*(np.repeat(column, counts, axis=0) for column in rows))
    for name, value in repeated.items():
        assert weighed[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 10_000), st.sampled_from([2, 5, 1000]))
def test_scores_of_labels(n, k, seed, levels):
    rng = np.random.default_rng(seed)
    y_true, probs = rng.integers(0, 2, (n, k)), rng.integers(0, levels, (n, k)) / levels
    y_pred = probs >= 0.5
    scores = label_scores(y_true, probs, y_pred)(np.ones(n))
    assert scores["subset accuracy"] == pytest.approx(skm.accuracy_score(y_true, y_pred))
    assert scores["Hamming loss"] == pytest.approx(skm.hamming_loss(y_true, y_pred))
    for average in ("macro", "micro", "weighted"):
        pair = (y_true, y_pred) if k > 1 else (y_true[:, 0], y_pred[:, 0])
        theirs = skm.f1_score(*pair, average=average if k > 1 else "binary", zero_division=0)
        assert scores[f"{average}-F1"] == pytest.approx(theirs)
    both = [c for c in range(k) if 0 < y_true[:, c].sum() < n]
    auc = np.mean([skm.roc_auc_score(y_true[:, c], probs[:, c]) for c in both]) if both else np.nan
    assert scores["ROC-AUC"] == pytest.approx(auc, nan_ok=True)
    logs = [skm.log_loss(y_true[:, c], probs[:, c], labels=[0, 1]) for c in range(k)]
    assert scores["log loss"] == pytest.approx(np.mean(logs))
    table = per_class(y_true, probs, y_pred, [f"label {i}" for i in range(k)])
    assert table["F1"].tolist() == pytest.approx(
        skm.f1_score(y_true, y_pred, average=None, zero_division=0).tolist()
        if k > 1
        else [skm.f1_score(y_true[:, 0], y_pred[:, 0], zero_division=0)]
    )


def test_scores_of_numbers():
    y_true, value = np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 2.0])
    scores = number_scores(y_true, value)(np.ones(3))
    assert scores["mean absolute error"] == pytest.approx(0.5) and scores["R2"] == pytest.approx(
        skm.r2_score(y_true, value)
    )
    assert np.isnan(number_scores(y_true[:1], value[:1])(np.ones(1))["R2"])


def test_a_thousand_classes_and_a_single_row():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(1000), 50)
    scores = class_scores(rng.integers(0, 1000, 50), probs, probs.argmax(1))(np.ones(50))
    assert 0 <= scores["ROC-AUC"] <= 1
    one = class_scores(np.array([1]), np.array([[0.4, 0.6]]), np.array([1]))(np.ones(1))
    assert one["accuracy"] == 1 and np.isnan(one["ROC-AUC"])


def test_the_top_label_of_classes_and_of_several_labels():
    confidence, right = top_label(np.array([0, 0]), np.array([[0.7, 0.3], [0.2, 0.8]]))
    assert confidence.tolist() == [0.7, 0.8] and right.tolist() == [True, False]
    confidence, right = top_label(np.array([[0, 1]]), np.array([[0.25, 0.25]]))
    assert confidence.tolist() == [0.75, 0.75] and right.tolist() == [True, False]


def test_sure_and_right_is_calibrated():
    assert ExpectedCalibrationError(np.ones(5), np.ones(5, bool))(np.ones(5)) == 0
    assert ExpectedCalibrationError(np.ones(4), np.array([1, 0, 1, 0], bool))(np.ones(4)) == pytest.approx(0.5)


def test_ranking_under_ties():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        auc, ap = Ranking(np.array([[1], [0]], bool), np.array([[0.5], [0.5]]))(np.ones(2))
    assert auc.tolist() == [0.5] and ap.tolist() == [0.5]
