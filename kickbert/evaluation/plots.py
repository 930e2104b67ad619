"""Pictures of how good a model is, of `Predictions`. Every function returns its figure and takes `ax=`."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn import metrics as skm

from kickbert.evaluation.predictions import Predictions
from kickbert.targets.kinds import MULTI, REGRESSION
from kickbert.utils.messages import shorten
from kickbert.utils.plotting import BLUE, GREY, LINES, NAME_WIDTH, ORANGE, axes_of

MANY = 8  # classes over which each gets no line of its own
CELLS = 20  # classes over which cells hold no numbers
BINS = 10


def _classes(found: Predictions) -> None:
    if found.y_true is None or found.target.task == REGRESSION:
        what = "without labels" if found.y_true is None else f"of a {found.target.task} task"
        raise ValueError(f"predictions {what} have no classes to draw")


def plot_confusion(found: Predictions, rates: bool = False, ax: Axes | None = None) -> Figure:
    """What is true against what was said.

    Args:
        rates: shares of each true class in place of rows.
    Raises:
        ValueError: several labels a row, which have no such table, or no classes.
    """
    _classes(found)
    if found.target.task == MULTI:
        raise ValueError("several labels a row make no confusion matrix; per_class and plot_precision_recall tell more")
    names = [shorten(n, NAME_WIDTH) for n in found.target.names]
    n = len(names)
    side = max(3.4, 0.42 * min(n, 30))  # inches: the title needs so many
    ax = axes_of(ax, (2.2 + side, 1.8 + 0.9 * side))
    counts = skm.confusion_matrix(found.y_true, found.y_pred, labels=range(n))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    small = 7 if n > 12 else 9
    for (i, j), share in np.ndenumerate(shares) if n <= CELLS else ():
        told = f"{share:.0%}" if rates else f"{counts[i, j]:,}"
        ax.text(j, i, told if counts[i, j] else "", ha="center", va="center", fontsize=small,
                color="white" if share > 0.6 else "black")  # fmt: skip
    ax.set_xticks(range(n), names, rotation=45 if n > 3 else 0, ha="right" if n > 3 else "center", fontsize=small)
    ax.set_yticks(range(n), names, fontsize=small)
    ax.set(xlabel="said", ylabel="true")
    ax.set_title("Shares of each true class" if rates else "Rows, by true class and answer", loc="left")
    return ax.figure


def _hot(found: Predictions) -> np.ndarray:
    return (
        found.y_true.astype(bool)
        if found.target.task == MULTI
        else found.y_true[:, None] == np.arange(len(found.target.names))
    )


def _curves(found: Predictions, ax: Axes, curve, score, told: str) -> None:
    """A line for each class; of many, all in grey, the worst and the best named."""
    _classes(found)
    y_true, probs, names = _hot(found), found.probs, found.target.names
    both = [i for i in range(len(names)) if y_true[:, i].any() and not y_true[:, i].all()]
    values = {i: score(y_true[:, i], probs[:, i]) for i in both}
    order = sorted(both, key=values.get)
    named = both if len(both) <= MANY else [order[-1], order[0]]
    for i in both if len(both) > MANY else ():
        ax.plot(*curve(y_true[:, i], probs[:, i]), color=GREY, alpha=0.25, linewidth=0.8)
    for i, (colour, style) in zip(named, LINES, strict=False):
        ax.plot(
            *curve(y_true[:, i], probs[:, i]),
            color=colour,
            linestyle=style,
            label=f"{shorten(names[i], NAME_WIDTH)} {values[i]:.2f}",
        )
    if named:
        more = "" if len(both) <= MANY else f", best and worst of {len(both)}"
        ax.legend(
            title=f"{told}{more}",
            fontsize=8,
            title_fontsize=8,
            framealpha=0.85,
            edgecolor="none",
            loc="lower left" if told == "AP" else "lower right",
        )
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.spines[["top", "right"]].set_visible(False)


def plot_roc(found: Predictions, ax: Axes | None = None) -> Figure:
    """Share of a class that is found against share of the others that is taken for it, each class against the rest."""
    ax = axes_of(ax)
    _curves(found, ax, lambda t, p: skm.roc_curve(t, p)[:2], skm.roc_auc_score, "AUC")
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.set_title("ROC, each class against the rest", loc="left")
    return ax.figure


def plot_precision_recall(found: Predictions, ax: Axes | None = None) -> Figure:
    """How many of the answers are right against how many of the class are found, each class against the rest."""
    ax = axes_of(ax)

    def curve(y_true: np.ndarray, probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        precision, recall, _ = skm.precision_recall_curve(y_true, probs)
        return recall, precision

    _curves(found, ax, curve, skm.average_precision_score, "AP")
    ax.set(xlabel="recall", ylabel="precision")
    ax.set_title("Precision and recall, each class against the rest", loc="left")
    return ax.figure


def plot_calibration(found: Predictions, ax: Axes | None = None) -> Figure:
    """How often the model is right against how sure it says it is; bars below show how many rows are that sure."""
    _classes(found)
    ax = axes_of(ax)
    sure, right = found.confidence, ~found.wrong
    place = np.clip((sure * BINS).astype(int), 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    there = counts > 0
    middle = np.bincount(place, weights=sure, minlength=BINS)[there] / counts[there]
    share = np.bincount(place, weights=right, minlength=BINS)[there] / counts[there]
    spread = 1.96 * np.sqrt(share * (1 - share) / counts[there])
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="says what is so")
    ax.bar(
        (np.arange(BINS) + 0.5) / BINS,
        0.25 * counts / counts.max(),
        width=0.9 / BINS,
        color=GREY,
        alpha=0.25,
        label="rows",
    )
    ax.errorbar(middle, share, yerr=spread, color=BLUE, marker="o", ms=4, capsize=2, label="model, 95 %")
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="share that is right")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Is it as sure as it is right?", loc="left")
    return ax.figure


def plot_coverage(table, ax: Axes | None = None) -> Figure:
    """Accuracy of the answers against the share of rows answered (the table of `coverage`)."""
    ax = axes_of(ax)
    ax.plot(table["coverage"], table["accuracy"], color=BLUE, marker="o", ms=3)
    for row in table.iloc[:: max(1, len(table) // 5)].itertuples():
        ax.annotate(
            f"from {row.threshold:.2f}",
            (row.coverage, row.accuracy),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=7,
        )
    ax.set(xlabel="share of rows that get an answer", ylabel="accuracy of the answers", xlim=(0, 1.12))
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("ProbabilityModel only when sure", loc="left")
    return ax.figure


def plot_values(found: Predictions, ax: Axes | None = None) -> Figure:
    """Predicted numbers against true ones, in their unit; logarithmic where the model's scale is."""
    if found.y_true is None or found.target.task != REGRESSION:
        raise ValueError(f"predictions of a {found.target.task} task are no numbers")
    ax = axes_of(ax)
    y_true, value = found.numbers
    ax.scatter(y_true, value, s=6, alpha=0.3, color=BLUE, linewidths=0)
    ends = [min(y_true.min(), value.min()), max(y_true.max(), value.max())]
    ax.plot(ends, ends, color=ORANGE, linewidth=1)
    if found.target.log:
        ax.set(xscale="symlog", yscale="symlog")
    ax.set(xlabel=f"true {found.target.name}", ylabel=f"predicted {found.target.name}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Predicted against true", loc="left")
    return ax.figure
