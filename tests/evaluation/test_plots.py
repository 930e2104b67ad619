"""Plots have standard labels and correct contents, and draw every class name literally."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.cbook import is_math_text
from matplotlib.text import Text

from kickbert import evaluate
from kickbert.evaluation.plots import (
    plot_calibration,
    plot_confusion,
    plot_coverage,
    plot_precision_recall,
    plot_roc,
    plot_values,
)
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.reliability import ExpectedCalibrationError, top_label
from kickbert.evaluation.selective_prediction import coverage
from kickbert.targets.fitting import fit_target

HOSTILE = ["$1–2$", "a_b^c", "<b>", r"$\frac$", "_hidden", "very long " * 40, "😀", "שלום", "%d {x}", "$"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def made(classes: int, rows: int = 400, names: list[str] | None = None) -> Predictions:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, classes, rows)
    probs = rng.dirichlet(np.ones(classes), rows)
    probs[np.arange(rows), codes] += 0.5
    y_true = codes if names is None else [names[code] for code in codes]
    return Predictions.from_probabilities(y_true, probs / probs.sum(1, keepdims=True), names)


ALL = [plot_confusion, plot_roc, plot_precision_recall, plot_calibration]


@pytest.mark.parametrize("plot", ALL)
@pytest.mark.parametrize("classes", [2, 8, 30])
def test_any_number_of_classes(plot, classes, tmp_path):
    figure = plot(made(classes))
    figure.savefig(tmp_path / "p.png")
    legend = figure.axes[0].get_legend()
    assert legend is None or len(legend.get_texts()) <= 8
    _, ax = plt.subplots()
    assert plot(made(classes), ax=ax) is ax.figure


def test_a_learner_and_an_evaluation_are_drawn_as_their_predictions(make, reviews):
    learn = make(reviews)
    evaluation = evaluate(learn, compare=False, rounds=2)
    for plot in (*ALL, plot_coverage):
        pictures = []
        for source in (learn, evaluation, evaluation.predictions):
            figure = plot(source)
            figure.canvas.draw()
            pictures.append(np.asarray(figure.canvas.buffer_rgba()))
        assert (pictures[0] == pictures[1]).all() and (pictures[0] == pictures[2]).all()
    with pytest.raises(TypeError, match="source is a list"):
        plot_confusion([1, 2])


@pytest.mark.parametrize("plot", ALL)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_class_names_are_drawn_literally(plot):
    for names in (HOSTILE, HOSTILE[:8], HOSTILE[:2]):
        figure = plot(made(len(names), names=names))
        figure.canvas.draw()  # mathtext that cannot be parsed raises here
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert not any(map(is_math_text, texts)) and max(map(len, texts)) < 60


def test_names_with_dollars_are_on_the_axes():
    ax = plot_confusion(made(2, names=["$1–2$", "<b>"])).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == [r"\$1–2\$", "<b>"]  # matplotlib draws $ for \$


def test_the_legend_names_a_class_that_begins_with_an_underscore():
    texts = [t.get_text() for t in plot_roc(made(2, names=["_a", "b"])).axes[0].get_legend().get_texts()]
    assert len(texts) == 2 and texts[0].endswith("_a")


def test_terms_of_axes_and_titles():
    predictions = made(3)
    for plot, title, x, y in (
        (plot_confusion, "Confusion matrix", "Predicted label", "True label"),
        (plot_roc, "ROC curves", "false positive rate", "true positive rate"),
        (plot_precision_recall, "Precision-recall curves", "recall", "precision"),
        (plot_calibration, "Reliability diagram", "confidence", "accuracy"),
    ):
        ax = plot(predictions).axes[0]
        assert ax.get_title(loc="left").startswith(title) and (ax.get_xlabel(), ax.get_ylabel()) == (x, y)
    ax = plot_coverage(coverage(predictions)).axes[0]
    assert ax.get_title(loc="left").startswith("Selective prediction") and ax.get_xlabel().startswith("coverage")


def test_cells_of_the_confusion_matrix():
    predictions = Predictions.from_probabilities([0, 0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
    assert [t.get_text() for t in plot_confusion(predictions).axes[0].texts] == ["2", "1", "", "1"]
    assert [t.get_text() for t in plot_confusion(predictions, rates=True).axes[0].texts] == ["67%", "33%", "", "100%"]
    assert len(plot_confusion(made(30)).axes) == 2  # a color bar if cells have no numbers


def test_the_reliability_diagram_shows_its_calibration_error():
    predictions = made(3)
    ax = plot_calibration(predictions).axes[0]
    confidence, right = top_label(predictions.y_true, predictions.probs)
    error = ExpectedCalibrationError(confidence, right)(np.ones(400))
    legend = ax.get_legend()
    assert legend.get_title().get_text() == f"Expected calibration error {error:.3f}" and error > 0.01
    assert "perfectly calibrated" in [t.get_text() for t in legend.get_texts()]
    points = ax.containers[-1].lines[0].get_xydata()  # mean confidence and accuracy of each bin
    counts = np.bincount(ExpectedCalibrationError(confidence, right).bin)
    assert (counts[counts > 0] * np.abs(points[:, 0] - points[:, 1])).sum() / 400 == pytest.approx(error)


def test_a_bin_where_all_are_right_is_not_certain():
    predictions = Predictions.from_probabilities([0, 0, 0], [[0.9, 0.1]] * 3)
    (bars,) = plot_calibration(predictions).axes[0].containers[-1].lines[2]
    (low, high) = bars.get_segments()[0][:, 1]
    assert low == pytest.approx(3 / (3 + 1.96**2), abs=1e-3) and high == 1  # Wilson's interval of 3 in 3


def test_calibrated_labels_lie_on_the_diagonal():
    rng = np.random.default_rng(0)
    probs = rng.random((4000, 3))
    several = Predictions.from_probabilities((rng.random((4000, 3)) < probs).astype(int), probs)
    title = plot_calibration(several).axes[0].get_legend().get_title().get_text()
    assert float(re.search(r"[\d.]+$", title).group()) < 0.03


def test_several_labels_numbers_and_no_labels():
    rng = np.random.default_rng(0)
    several = Predictions.from_probabilities(rng.integers(0, 2, (50, 3)), rng.random((50, 3)))
    for plot in (plot_roc, plot_precision_recall, plot_calibration):
        plot(several)
    with pytest.raises(ValueError, match="several labels per row have no confusion matrix"):
        plot_confusion(several)
    number = fit_target(pd.Series([1.0, 2.0, 5.0], name="$price$"), task="regression")
    regression = Predictions(number, np.zeros((3, 1)), np.zeros((3, 1)), np.zeros(3))
    ax = plot_values(regression).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"True \$price\$", r"Predicted \$price\$")
    with pytest.raises(ValueError, match="predictions of task 'regression' are not classes with true labels"):
        plot_roc(regression)
    with pytest.raises(ValueError, match="predictions of task 'multi-label' are not numbers with true values"):
        plot_values(several)
    with pytest.raises(ValueError, match="predictions without labels are not numbers with true values"):
        plot_values(Predictions(number, np.zeros((3, 1)), np.zeros((3, 1))))


def test_a_single_class_has_no_curve():
    figure = plot_roc(Predictions.from_probabilities([0, 0], [[0.9, 0.1], [0.6, 0.4]]))
    assert figure.axes[0].get_legend() is None
