"""Plots of predictions: confusion matrix, ROC and precision-recall curves, reliability diagram, and others.

Every function takes a learner (for its validation rows), an `Evaluation` or `Predictions`, and returns a figure.
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
from kickbert.evaluation.significance import wilson_interval
from kickbert.models.protocol import TextModel
from kickbert.targets.continuous import Continuous
from kickbert.utils.plotting import BLUE, GRAY, LINES, ORANGE, axes_of, figure_of, literal

MANY = 8  # maximum number of classes with a line each
CELLS = 20  # maximum number of classes with numbers in the cells
Source = TextModel | Evaluation | Predictions
CURVES = (7.0, 4.4)  # inches, for curves and a legend


def _with_classes(source: Any) -> Predictions:
    """Take predictions with true classes.

    Raises:
        ValueError: there are no true labels, or no classes.
    """
    predictions = as_predictions(source)
    if predictions.y_true is None or predictions.target.is_number:
        kind = "without labels" if predictions.y_true is None else f"of task {predictions.target.task!r}"
        raise ValueError(f"predictions {kind} are not classes with true labels")
    return predictions


def plot_confusion(predictions: Source, rates: bool = False, ax: Axes | None = None) -> Figure:
    """Plot the confusion matrix: a row for each true label, a column for each predicted label.

    Args:
        predictions: predictions with true labels.
        rates: whether cells show shares of their true class instead of numbers of rows.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: several labels per row, no true labels, or no classes.
    """
    predictions = _with_classes(predictions)
    if predictions.target.is_multilabel:
        raise ValueError("several labels per row have no confusion matrix. Use plot_precision_recall instead")
    names = [literal(name) for name in predictions.target.names]
    n = len(names)
    side = max(3.4, 0.42 * min(n, 30))  # inches; the title needs this width
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
    ax.set(xlabel="Predicted label", ylabel="True label")
    ax.set_title("Confusion matrix" + (", shares of true class" if rates else ""), loc="left")
    return figure_of(ax)


def _one_against_rest(predictions: Predictions) -> np.ndarray:
    """Whether each row belongs to each class, bool, shape (n, classes)."""
    if predictions.target.is_multilabel:
        return predictions.labels.astype(bool)
    return predictions.labels[:, None] == np.arange(len(predictions.target.names))


def _class_curves(predictions: Predictions, ax: Axes, curve: Callable, score: Callable, score_name: str) -> None:
    """Draw a line for each class; with many classes all in gray, and the best and the worst named.

    Args:
        predictions: predictions with true labels.
        ax: axes to draw on.
        curve: function from labels (bool, shape (n,)) and probabilities of a class to the points of its curve.
        score: function of the same arguments to the score of the class.
        score_name: title of the legend, which is beside the axes, where it hides no curve.
    """
    true, probs, names = _one_against_rest(predictions), predictions.probs, predictions.target.names
    defined = [i for i in range(len(names)) if true[:, i].any() and not true[:, i].all()]
    values = {i: score(true[:, i], probs[:, i]) for i in defined}
    ranked, many = sorted(defined, key=values.__getitem__), len(defined) > MANY
    for i in defined if many else ():
        ax.plot(*curve(true[:, i], probs[:, i]), color=GRAY, alpha=0.25, linewidth=0.8)
    for i, (color, style) in zip([ranked[-1], ranked[0]] if many else defined, LINES, strict=False):
        # The number comes first because matplotlib hides labels that start with an underscore.
        label = f"{values[i]:.2f}  {literal(names[i])}"
        ax.plot(*curve(true[:, i], probs[:, i]), color=color, linestyle=style, label=label)
    if defined:
        title = score_name + (f",\nbest and worst of {len(defined)}" if many else "")
        legend = ax.legend(
            title=title, fontsize=8, title_fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0)
        )
        legend.set_alignment("left")
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.spines[["top", "right"]].set_visible(False)


def plot_roc(predictions: Source, ax: Axes | None = None) -> Figure:
    """Plot the ROC curve of each class against the rest, with the area under it.

    Args:
        predictions: predictions with true labels.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: no true labels, or no classes.
    """
    predictions, ax = _with_classes(predictions), axes_of(ax, CURVES)
    _class_curves(
        predictions, ax, lambda true, p: skm.roc_curve(true, p)[:2], skm.roc_auc_score, "area under the curve"
    )
    ax.plot([0, 1], [0, 1], color=GRAY, linestyle=":", linewidth=1)
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.set_title("ROC curves, each class against the rest", loc="left")
    return figure_of(ax)


def plot_precision_recall(predictions: Source, ax: Axes | None = None) -> Figure:
    """Plot the precision-recall curve of each class against the rest, with its average precision.

    Args:
        predictions: predictions with true labels.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: no true labels, or no classes.
    """
    predictions, ax = _with_classes(predictions), axes_of(ax, CURVES)

    def curve(true: np.ndarray, probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        precision, recall, _ = skm.precision_recall_curve(true, probs)
        return recall, precision

    _class_curves(predictions, ax, curve, skm.average_precision_score, "average precision")
    ax.set(xlabel="recall", ylabel="precision")
    ax.set_title("Precision-recall curves, each class against the rest", loc="left")
    return figure_of(ax)


def plot_calibration(predictions: Source, ax: Axes | None = None) -> Figure:
    """Plot the reliability diagram: accuracy by confidence, with the expected calibration error (Guo et al. 2017).

    On the dotted line, predictions with 80% confidence are correct 8 times in 10. Bars at the bottom show the number of
    predictions with that confidence; intervals are Wilson's (1927). With several labels per row, each label counts as a
    prediction of its own, yes or no.

    Args:
        predictions: predictions with true labels.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: no true labels, or no classes.
    """
    predictions = _with_classes(predictions)
    ax = axes_of(ax)
    confidence, correct = top_label(predictions.labels, predictions.probs)
    calibration = ExpectedCalibrationError(confidence, correct)
    counts = np.bincount(calibration.bin, minlength=BINS)
    hits = np.bincount(calibration.bin[correct], minlength=BINS)
    filled = counts > 0
    mean_confidence = np.bincount(calibration.bin, weights=confidence, minlength=BINS)[filled] / counts[filled]
    accuracy = hits[filled] / counts[filled]
    bins = zip(hits[filled].tolist(), counts[filled].tolist(), strict=True)
    low, high = np.transpose([wilson_interval(k, n) for k, n in bins])
    interval = np.maximum(0, (accuracy - low, high - accuracy))  # matplotlib rejects a rounding error below zero
    ax.plot([0, 1], [0, 1], color=GRAY, linestyle=":", linewidth=1, label="perfectly calibrated")
    centers, heights = (np.arange(BINS) + 0.5) / BINS, 0.25 * counts / counts.max()
    ax.bar(centers, heights, width=0.9 / BINS, color=GRAY, alpha=0.25, label="number of predictions")
    ax.errorbar(mean_confidence, accuracy, yerr=interval, color=BLUE, marker="o", ms=4, capsize=2,
                label="model, 95% interval")  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    title = f"Expected calibration error {calibration(np.ones(len(correct))):.3f}"
    ax.legend(title=title, frameon=False, fontsize=8, title_fontsize=8, loc="best").set_alignment("left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Reliability diagram", loc="left")
    return figure_of(ax)


def plot_coverage(table: Source | pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Plot the accuracy-coverage curve of selective prediction: only confident rows get a label.

    Args:
        table: table from `coverage`, or predictions with true labels.
        ax: axes to draw on; None for a new figure.
    """
    table = table if isinstance(table, pd.DataFrame) else coverage(as_predictions(table))
    ax = axes_of(ax)
    ax.plot(table["coverage"], table["accuracy"], color=BLUE, marker="o", ms=3)
    for row in table.iloc[:: max(1, len(table) // 5)].itertuples():
        ax.annotate(f"≥ {row.threshold:.2f}", (row.coverage, row.accuracy), xytext=(4, 4), textcoords="offset points",
                    fontsize=7)  # fmt: skip
    ax.set(xlabel="coverage (share of rows with a label)", ylabel="accuracy of these rows", xlim=(0, 1.12))
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.margins(y=0.1)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Selective prediction, by confidence threshold", loc="left")
    return figure_of(ax)


def plot_values(predictions: Source, ax: Axes | None = None) -> Figure:
    """Plot predicted against true numbers in their unit, on logarithmic axes if the model learned a logarithm.

    Args:
        predictions: predictions of a number, with true values.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: no true values, or not a number.
    """
    predictions = as_predictions(predictions)
    target = predictions.target
    if predictions.y_true is None or not isinstance(target, Continuous):
        kind = "without labels" if predictions.y_true is None else f"of task {target.task!r}"
        raise ValueError(f"predictions {kind} are not numbers with true values")
    ax, name = axes_of(ax), literal(target.name)
    y_true, y_pred = predictions.numbers
    ax.scatter(y_true, y_pred, s=6, alpha=0.3, color=BLUE, linewidths=0)
    ends = [min(y_true.min(), y_pred.min()), max(y_true.max(), y_pred.max())]
    ax.plot(ends, ends, color=ORANGE, linewidth=1)
    if target.log:
        ax.set(xscale="symlog", yscale="symlog")
    ax.set(xlabel=f"True {name}", ylabel=f"Predicted {name}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Predicted against true values", loc="left")
    return figure_of(ax)
