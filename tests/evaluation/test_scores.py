"""Every score equals scikit-learn's, also for degenerate rows; weights have the effect of repeated rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as skm

from kickbert.evaluation.scores import class_scores, label_scores, number_scores, per_class

pytestmark = pytest.mark.filterwarnings("ignore")
AVERAGED = (("precision", skm.precision_score), ("recall", skm.recall_score), ("F1", skm.f1_score))
RANKING = (("ROC-AUC", skm.roc_auc_score), ("average precision", skm.average_precision_score))


@st.composite
def classes(draw):
    """Draw rows of 2 to 5 classes: some absent, with ties in the probabilities, often only one class predicted."""
    k, n = draw(st.integers(2, 5)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    y_true = rng.integers(0, draw(st.integers(1, k)), n)
    probs = rng.integers(1, draw(st.sampled_from([2, 4, 100])) + 1, (n, k)).astype(float)
    probs /= probs.sum(1, keepdims=True)
    y_pred = np.zeros(n, dtype=int) if draw(st.booleans()) else probs.argmax(1)
    return y_true, probs, y_pred


def averages(y_true, y_pred) -> dict[str, float]:
    return {
        f"{average}-{name}": metric(y_true, y_pred, average=average, zero_division=0)
        for average in ("macro", "micro", "weighted")
        for name, metric in AVERAGED
    }


def ranking(one_hot, probs) -> dict[str, float]:
    columns = [c for c in range(probs.shape[1]) if 0 < one_hot[:, c].sum() < len(one_hot)]
    return {
        name: np.mean([metric(one_hot[:, c], probs[:, c]) for c in columns]) if columns else np.nan
        for name, metric in RANKING
    }


def expected(y_true, probs, y_pred) -> dict[str, float]:
    k = probs.shape[1]
    return {
        "accuracy": skm.accuracy_score(y_true, y_pred),
        "balanced accuracy": skm.balanced_accuracy_score(y_true, y_pred),
        "MCC": skm.matthews_corrcoef(y_true, y_pred),
        "log loss": skm.log_loss(y_true, probs, labels=range(k)),
        "Brier score": skm.brier_score_loss(y_true, probs, labels=range(k)),
        "quadratic kappa": skm.cohen_kappa_score(y_true, y_pred, weights="quadratic", labels=range(k)),
        "mean absolute error, buckets": skm.mean_absolute_error(y_true, y_pred),
        **averages(y_true, y_pred),
        **ranking(np.eye(k)[y_true], probs),
    }


@settings(max_examples=25)
@given(classes(), st.integers(0, 1000), st.booleans())
def test_scores_of_classes(rows, seed, resample):
    n = len(rows[0])
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n)) if resample else np.ones(n, dtype=int)
    scores = class_scores(*rows, ordered=True)(counts.astype(float))
    for name, value in expected(*(np.repeat(column, counts, axis=0) for column in rows)).items():
        assert scores[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(2, 4), st.integers(0, 10_000), st.sampled_from([2, 5, 1000]))
def test_scores_of_several_labels(n, k, seed, levels):
    rng = np.random.default_rng(seed)
    y_true, probs = rng.integers(0, 2, (n, k)), rng.integers(0, levels, (n, k)) / levels
    y_pred = probs >= 0.5
    logs = [skm.log_loss(y_true[:, c], probs[:, c], labels=[0, 1]) for c in range(k)]
    reference = {
        "subset accuracy": skm.accuracy_score(y_true, y_pred),
        "Hamming loss": skm.hamming_loss(y_true, y_pred),
        "log loss": np.mean(logs),
        **averages(y_true, y_pred),
        **ranking(y_true, probs),
    }
    scores = label_scores(y_true, probs, y_pred)(np.ones(n))
    for name, value in reference.items():
        assert scores[name] == pytest.approx(value, nan_ok=True), name
    table = per_class(y_true, probs, y_pred, [f"label {i}" for i in range(k)])
    assert table["F1"].tolist() == pytest.approx(skm.f1_score(y_true, y_pred, average=None, zero_division=0).tolist())
    assert table["rows"].tolist() == y_true.sum(0).tolist()


def test_a_single_label_is_scored_by_its_ones():
    y_true, y_pred = np.array([[1], [1], [0]]), np.array([[1], [0], [0]])
    scores = label_scores(y_true, y_pred * 0.8, y_pred)(np.ones(3))
    assert scores["macro-F1"] == scores["micro-F1"] == pytest.approx(skm.f1_score(y_true[:, 0], y_pred[:, 0]))


def test_scores_of_numbers():
    y_true, value = np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 2.0])
    scores = number_scores(y_true, value)(np.ones(3))
    assert scores["mean absolute error"] == pytest.approx(0.5)
    assert scores["R2"] == pytest.approx(skm.r2_score(y_true, value))
    assert np.isnan(number_scores(y_true[:1], value[:1])(np.ones(1))["R2"])


def test_a_thousand_classes_and_a_single_row():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(1000), 50)
    scores = class_scores(rng.integers(0, 1000, 50), probs, probs.argmax(1))(np.ones(50))
    assert 0 <= scores["ROC-AUC"] <= 1
    one = class_scores(np.array([1]), np.array([[0.4, 0.6]]), np.array([1]), ordered=True)(np.ones(1))
    assert one["accuracy"] == one["macro-F1"] == 1 and np.isnan([one["ROC-AUC"], one["quadratic kappa"]]).all()
