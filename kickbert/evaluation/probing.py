"""Linear probes: how well each depth of an encoder predicts the labels, without training the encoder."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kickbert.data.batching import length_batches
from kickbert.data.packed import Packed
from kickbert.text.tokenization import PAD
from kickbert.utils.plotting import LINES, axes_of, figure_of, literal
from kickbert.utils.progress import bar

if TYPE_CHECKING:
    from kickbert.models.classifier import TextClassifier
    from kickbert.training.learner import GradualLearner

TOKENS = 4096  # maximum tokens per batch, including padding
ROWS = 5_000  # maximum training rows of a probe
ENOUGH = 0.95  # share of the best accuracy; training the layers above makes up for the rest


def probe(learn: "GradualLearner", rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Fit a linear probe to the mean states of each depth and score it on the validation rows (Alain and Bengio 2017).

    Where the curve stops rising, the layers above do not help yet: unfreeze from there.

    Args:
        learn: a learner that predicts classes; its weights are not changed.
        rows: maximum number of training rows.
        seed: seed for drawing them.
    Returns:
        depth (layers below the probe), accuracy, std error (of the accuracy).
    Raises:
        ValueError: several labels or a number as target, windows, or no validation rows.
    """
    target = learn.target
    ids, codes = zip(*(dl.rows[:2] for dl in learn.dls.loaders), strict=True)
    if target.is_number or target.is_multilabel or ids[0].first is not None or not len(ids[1]):
        raise ValueError(f"probes need one class per row, no windows, and validation rows; the task is {target.task}")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(ids[0]))[:rows])
    if len(codes[0][chosen].unique()) < 2:
        raise ValueError(f"probes need at least two classes, and all {len(chosen):,} training rows have the same one")
    train, valid = states(learn.model, ids[0], chosen), states(learn.model, ids[1], np.arange(len(ids[1])))
    y, y_true = codes[0].numpy()[chosen], codes[1].numpy()
    records = []
    for depth in bar(range(len(train)), "probing depths"):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # affects only the last digits
            accuracy = accuracy_score(y_true, model.fit(train[depth], y).predict(valid[depth]))
        records.append((depth, accuracy, np.sqrt(accuracy * (1 - accuracy) / len(y_true))))
    return pd.DataFrame(records, columns=["depth", "accuracy", "std error"])


def enough_layers(table: pd.DataFrame, share: float = ENOUGH) -> int:
    """Choose the fewest layers whose probe is nearly as accurate as the best one, and print them.

    Args:
        table: table from `probe`.
        share: share of the best accuracy to reach.

    >>> enough_layers(pd.DataFrame({"depth": [0, 1, 2, 3], "accuracy": [0.5, 0.7, 0.87, 0.9]}))
    layers=2: probe accuracy 0.870, compared with 0.900 at the best depth, 3
    2
    """
    accuracy = table.set_index("depth")["accuracy"].drop(0)
    layers = int(accuracy.index[accuracy >= share * accuracy.max()][0])
    best = f"{accuracy.max():.3f} at the best depth, {accuracy.idxmax()}"
    print(f"layers={layers}: probe accuracy {accuracy[layers]:.3f}, compared with {best}")
    return layers


@torch.no_grad()
def states(model: "TextClassifier", ids: Packed, chosen: np.ndarray) -> np.ndarray:
    """Compute the mean states of rows at every depth, in one pass.

    Args:
        model: a classifier.
        ids: token ids of all rows.
        chosen: positions of the rows to compute, shape (rows,).
    Returns:
        float32, shape (depths, rows, width).
    """
    model.eval()
    depths, device = model.encoder.n_layers + 1, next(model.parameters()).device
    means = np.empty((depths, len(chosen), model.encoder.width), dtype=np.float32)
    for positions in bar(list(length_batches(ids.lengths[chosen], tokens=TOKENS)), "computing every depth once"):
        x = ids.gather(chosen[positions], fill=PAD).long().to(device)
        weight = (x != PAD).float().unsqueeze(-1)
        hidden = None
        for depth in range(depths):
            hidden = model.states(x, depth, hidden, max(0, depth - 1)).float()
            means[depth, positions] = ((hidden * weight).sum(1) / weight.sum(1)).cpu().numpy()
    return means


def plot_probe(table: pd.DataFrame, ax: Axes | None = None, label: str | None = None, line: int = 0) -> Figure:
    """Plot the accuracy of linear probes by depth, with 95% confidence intervals.

    Args:
        table: table from `probe`.
        ax: axes to draw on; None for a new figure.
        label: name of the line in the legend; None for no legend.
        line: number of the line, which determines its color and style.
    """
    ax = axes_of(ax, (5.2, 3.8))
    color, style = LINES[line % len(LINES)]
    ax.errorbar(table["depth"], table["accuracy"], yerr=1.96 * table["std error"], color=color, linestyle=style,
                marker="o", ms=4, capsize=2, label=literal(label) if label else None)  # fmt: skip
    ax.set(xlabel="depth (layers below the probe)", ylabel="accuracy on validation rows")
    ax.set_xticks(table["depth"])
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.spines[["top", "right"]].set_visible(False)
    if label:
        ax.legend(frameon=False)
    ax.set_title("Accuracy of linear probes by depth", loc="left")
    return figure_of(ax)
