"""Plots of predictions: confusion matrix, curves, reliability diagram, selective prediction, regression.

Every function takes a learner (its validation rows), an `Evaluation` or `Predictions`, and `ax=`; it returns a figure.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn import metrics as skm

from kickbert.evaluation.evaluation import Evaluation
from kickbert.evaluation.predictions import Predictions, as_predictions
from kickbert.evaluation.reliability import BINS, ExpectedCalibrationError, top_label
from kickbert.evaluation.selective_prediction import coverage
from kickbert.models.protocol import TextModel
from kickbert.utils.plotting import BLUE, GREY, LINES, ORANGE, axes_of, literal

MANY = 8  # classes over which each gets no line of its own
CELLS = 20  # classes over which cells hold no numbers
Source = TextModel | Evaluation | Predictions
CURVES = (7.0, 4.4)  # inches of a figure of curves and their legend


def _with_classes(source: Any) -> Predictions:
    """Predictions whose true classes are known.

    Raises:
        ValueError: there are none.
    """
    predictions = as_predictions(source)
    if predictions.y_true is None or predictions.target.is_number:
        kind = "without labels" if predictions.y_true is None else f"of task {predictions.target.task!r}"
        raise ValueError(f"predictions {kind} have no classes to draw")
    return predictions


def plot_confusion(predictions: Source, rates: bool = False, ax: Axes | None = None) -> Figure:
    """Plot the confusion matrix: a row for each true class, a column for each predicted one.

    Args:
        predictions: with true labels.
        rates: whether cells hold shares of their true class in place of rows.
        ax: to draw on; None for a new figure.
    Raises:
        ValueError: several labels a row, which have no such matrix, or no classes.
    """
    predictions = _with_classes(predictions)
    if predictions.target.is_multilabel:
        raise ValueError("several labels a row make no confusion matrix; per_class and plot_precision_recall tell more")
    names = [literal(name) for name in predictions.target.names]
    n = len(names)
    side = max(3.4, 0.42 * min(n, 30))  # inches: the title needs so many
    ax = axes_of(ax, (2.2 + side, 1.8 + 0.9 * side))
    counts = skm.confusion_matrix(predictions.y_true, predictions.y_pred, labels=range(n))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    small = 7 if n > 8 else 9
    for (i, j), share in np.ndenumerate(shares) if n <= CELLS else ():
        cell = f"{share:.0%}" if rates else f"{counts[i, j]:,}"
        ax.text(j, i, cell if counts[i, j] else "", ha="center", va="center", fontsize=small,
                color="white" if share > 0.6 else "black")  # fmt: skip
    if n > CELLS:
        percent = PercentFormatter(1, decimals=0)
        ax.figure.colorbar(image, ax=ax, shrink=0.6, format=percent, label="share of true class")
    ax.set_xticks(range(n), names, rotation=45 if n > 3 else 0, ha="right" if n > 3 else "center", fontsize=small)
    ax.set_yticks(range(n), names, fontsize=small)
    ax.set(xlabel="Predicted", ylabel="True")
    ax.set_title("Confusion matrix" + (", shares of true class" if rates else ""), loc="left")
    return ax.figure


def _one_against_rest(predictions: Predictions) -> np.ndarray:
    """Which rows are of each class, bool, shape (n, classes)."""
    if predictions.target.is_multilabel:
        return predictions.y_true.astype(bool)
    return predictions.y_true[:, None] == np.arange(len(predictions.target.names))


def _class_curves(predictions: Predictions, ax: Axes, curve: Callable, score: Callable, score_name: str) -> None:
    """A line for each class; of many, all in grey, the best and the worst named.

    Args:
        curve, score: of what is true of each row, bool, shape (n,), and a class's probabilities, shape (n,).
        score_name: for the legend, which stands beside the axes, where it hides no curve.
    """
    true, probs, names = _one_against_rest(predictions), predictions.probs, predictions.target.names
    defined = [i for i in range(len(names)) if true[:, i].any() and not true[:, i].all()]
    values = {i: score(true[:, i], probs[:, i]) for i in defined}
    ranked, many = sorted(defined, key=values.get), len(defined) > MANY
    for i in defined if many else ():
        ax.plot(*curve(true[:, i], probs[:, i]), color=GREY, alpha=0.25, linewidth=0.8)
    for i, (colour, style) in zip([ranked[-1], ranked[0]] if many else defined, LINES, strict=False):
        # The number comes first: matplotlib leaves labels that begin with an underscore out.
        label = f"{values[i]:.2f}  {literal(names[i])}"
        ax.plot(*curve(true[:, i], probs[:, i]), color=colour, linestyle=style, label=label)
    if defined:
        title = score_name + (f",\nbest and worst of {len(defined)}" if many else "")
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        ax.legend(title=title, fontsize=8, title_fontsize=8, frameon=False, **place).set_alignment("left")
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.spines[["top", "right"]].set_visible(False)


def plot_roc(predictions: Source, ax: Axes | None = None) -> Figure:
    """Plot ROC curves, each class against the rest, with the area under each.

    Args:
        predictions: with true labels.
        ax: to draw on; None for a new figure.
    Raises:
        ValueError: no labels, or no classes.
    """
    predictions, ax = _with_classes(predictions), axes_of(ax, CURVES)
    _class_curves(
        predictions, ax, lambda true, p: skm.roc_curve(true, p)[:2], skm.roc_auc_score, "area under the curve"
    )
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.set_title("ROC curves, each class against the rest", loc="left")
    return ax.figure


def plot_precision_recall(predictions: Source, ax: Axes | None = None) -> Figure:
    """Plot precision-recall curves, each class against the rest, with the average precision of each.

    Args:
        predictions: with true labels.
        ax: to draw on; None for a new figure.
    Raises:
        ValueError: no labels, or no classes.
    """
    predictions, ax = _with_classes(predictions), axes_of(ax, CURVES)

    def curve(true: np.ndarray, probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        precision, recall, _ = skm.precision_recall_curve(true, probs)
        return recall, precision

    _class_curves(predictions, ax, curve, skm.average_precision_score, "average precision")
    ax.set(xlabel="recall", ylabel="precision")
    ax.set_title("Precision-recall curves, each class against the rest", loc="left")
    return ax.figure


def plot_calibration(predictions: Source, ax: Axes | None = None) -> Figure:
    """Plot the reliability diagram: accuracy by confidence, with the expected calibration error (Guo et al. 2017).

    On the dotted line a model that says 80 % is right 8 times in 10. Bars at the bottom show how many predictions have
    that confidence; the intervals are Wilson's (1927). Of several labels each is a prediction of its own, yes or no.

    Args:
        predictions: with true labels.
        ax: to draw on; None for a new figure.
    Raises:
        ValueError: no labels, or no classes.
    """
    from scipy.stats import binomtest

    predictions = _with_classes(predictions)
    ax = axes_of(ax)
    confidence, right = top_label(predictions.y_true, predictions.probs)
    calibration = ExpectedCalibrationError(confidence, right)
    counts = np.bincount(calibration.bin, minlength=BINS)
    hits = np.bincount(calibration.bin[right], minlength=BINS)
    filled = counts > 0
    mean_confidence = np.bincount(calibration.bin, weights=confidence, minlength=BINS)[filled] / counts[filled]
    accuracy = hits[filled] / counts[filled]
    bins = zip(hits[filled].tolist(), counts[filled].tolist(), strict=True)
    low, high = np.transpose([binomtest(k, n).proportion_ci(method="wilson") for k, n in bins])
    interval = np.maximum(0, (accuracy - low, high - accuracy))  # a rounding error below zero would be refused
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfectly calibrated")
    centers, heights = (np.arange(BINS) + 0.5) / BINS, 0.25 * counts / counts.max()
    ax.bar(centers, heights, width=0.9 / BINS, color=GREY, alpha=0.25, label="number of predictions")
    ax.errorbar(mean_confidence, accuracy, yerr=interval, color=BLUE, marker="o", ms=4, capsize=2,
                label="model, 95 % interval")  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    title = f"Expected calibration error {calibration(np.ones(len(right))):.3f}"
    ax.legend(title=title, frameon=False, fontsize=8, title_fontsize=8, loc="best").set_alignment("left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Reliability diagram", loc="left")
    return ax.figure


def plot_coverage(table: Source | pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Plot the accuracy-coverage curve of selective prediction: labels only where the model is sure.

    Args:
        table: of `coverage`; or what it is made of.
        ax: to draw on; None for a new figure.
    """
    table = table if isinstance(table, pd.DataFrame) else coverage(as_predictions(table))
    ax = axes_of(ax)
    ax.plot(table["coverage"], table["accuracy"], color=BLUE, marker="o", ms=3)
    for row in table.iloc[:: max(1, len(table) // 5)].itertuples():
        ax.annotate(f"≥ {row.threshold:.2f}", (row.coverage, row.accuracy), xytext=(4, 4), textcoords="offset points",
                    fontsize=7)  # fmt: skip
    ax.set(xlabel="coverage: share of rows with a label", ylabel="accuracy of these rows", xlim=(0, 1.12))
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.margins(y=0.1)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Selective prediction, by confidence threshold", loc="left")
    return ax.figure


def plot_values(predictions: Source, ax: Axes | None = None) -> Figure:
    """Plot predicted against true numbers, in their unit; on logarithmic axes where the model learnt a logarithm.

    Args:
        predictions: of a regression, with true labels.
        ax: to draw on; None for a new figure.
    Raises:
        ValueError: no labels, or no regression.
    """
    predictions = as_predictions(predictions)
    if predictions.y_true is None or not predictions.target.is_number:
        kind = "without labels" if predictions.y_true is None else f"of task {predictions.target.task!r}"
        raise ValueError(f"predictions {kind} have no true numbers to draw")
    ax, name = axes_of(ax), literal(predictions.target.name)
    y_true, y_pred = predictions.numbers
    ax.scatter(y_true, y_pred, s=6, alpha=0.3, color=BLUE, linewidths=0)
    ends = [min(y_true.min(), y_pred.min()), max(y_true.max(), y_pred.max())]
    ax.plot(ends, ends, color=ORANGE, linewidth=1)
    if predictions.target.log:
        ax.set(xscale="symlog", yscale="symlog")
    ax.set(xlabel=f"True {name}", ylabel=f"Predicted {name}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Predicted against true values", loc="left")
    return ax.figure
