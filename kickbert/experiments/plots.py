"""Pictures of training and of the encoder. Every function returns its figure and takes `ax=`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kickbert.utils.plotting import BLUE, GREY, LINES, ORANGE


def plot_learning_curves(learn: Any, metric: str | None = None, ax: Sequence[Axes] | None = None) -> Figure:
    """Loss and a metric over the steps of all fits so far, with the borders of phases and the rates of each group.

    Args:
        learn: a learner that was trained in this process.
        metric: one of its metrics; None for the first.
        ax: two axes, for losses and for rates.
    Raises:
        ValueError: nothing was trained, or an unknown metric.
    """
    history = learn.history.fits
    if not history:
        raise ValueError("the learner was not trained yet; fit_gradual() or any of fastai's fits does it")
    names = history[-1].names
    metric = metric or next((n for n in names if n not in ("train_loss", "valid_loss")), None)
    if metric not in names:
        raise ValueError(f"metric={metric!r} is not among {names}")
    if ax is None:
        _, ax = plt.subplots(2, 1, figsize=(7.5, 5.6), layout="constrained", sharex=True, height_ratios=(2, 1))
    (top, low), at = ax, 0
    right = top.twinx()
    for i, fit in enumerate(history):
        _losses(fit, at, top, right, metric, named=i == 0)
        _rates(fit, at, low)
        top.text(at + 0.5, 1.01, fit.title, transform=top.get_xaxis_transform(), fontsize=8, color=GREY)
        at += len(fit.losses)
        for axes in (top, low):
            axes.axvline(at + 0.5, color=GREY, linestyle=":", linewidth=1)
    top.set(ylabel="loss", ylim=(0, None))
    right.set_ylabel(metric.replace("_", " "), color=ORANGE)
    low.set(xlabel="steps", ylabel="learning rate", yscale="log")
    handles = [*top.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    top.legend(handles=handles, frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.05), ncols=3)
    low.legend(frameon=False, fontsize=8)
    return top.figure


def _losses(fit: Any, at: int, top: Axes, right: Axes, metric: str, named: bool) -> None:
    """Training loss of each step; validation loss and the metric at the end of each epoch."""
    steps = at + np.arange(1, len(fit.losses) + 1)
    top.plot(steps, smoothed(fit.losses), color=BLUE, linewidth=1, label="training loss" if named else None)
    ends = at + np.linspace(0, len(fit.losses), len(fit.values) + 1)[1:]
    for name, axes, colour, marker in (("valid_loss", top, BLUE, "o"), (metric, right, ORANGE, "s")):
        if name in fit.names:
            told = "validation loss" if name == "valid_loss" else name.replace("_", " ")
            values = [v[fit.names.index(name)] for v in fit.values]
            axes.plot(ends, values, marker, color=colour, ms=5, label=told if named else None)


def _rates(fit: Any, at: int, low: Axes) -> None:
    """A line for each learning rate, named by the groups that have it."""
    steps = at + np.arange(1, len(fit.losses) + 1)
    for share, (colour, style) in zip(sorted(set(fit.shares), reverse=True), LINES, strict=False):
        groups = [g for g, s in zip(fit.groups, fit.shares, strict=True) if s == share]
        told = groups[0] if len(groups) == 1 else f"{groups[0]} to {groups[-1]}"
        new = told not in low.get_legend_handles_labels()[1]
        low.plot(steps, np.array(fit.rates) * share, style, color=colour, linewidth=1.2, label=told if new else None)


def smoothed(losses: Sequence[float], share: float = 0.05) -> np.ndarray:
    """A moving mean over a share of the steps."""
    width = max(1, round(share * len(losses)))
    return pd.Series(np.asarray(losses, dtype=float)).rolling(width, min_periods=1, center=True).mean().to_numpy()


def plot_sizes(table: pd.DataFrame, metric: str = "accuracy", ax: Axes | None = None) -> Figure:
    """A metric against the number of training rows (the table of `by_size`), with its spread over seeds."""
    ax = plt.subplots(figsize=(5.2, 3.8), layout="constrained")[1] if ax is None else ax
    found = table.groupby("rows")[metric].agg(["mean", "std"]).fillna(0.0)
    ax.errorbar(found.index, found["mean"], yerr=found["std"], color=BLUE, marker="o", ms=4, capsize=3)
    ax.set(xscale="log", xlabel="training rows", ylabel=metric.replace("_", " "))
    ax.set_xticks(found.index, [f"{n:,}" for n in found.index])
    ax.set_xticks([], minor=True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("What more rows would bring", loc="left")
    return ax.figure


def plot_ladder(
    ladder: pd.DataFrame, baselines: dict[str, float] | None = None, metric: str = "accuracy", ax: Axes | None = None
) -> Figure:
    """What each phase of gradual unfreezing brought.

    Args:
        ladder: the table that `fit_gradual` returns.
        baselines: the same metric of other models, drawn as dashed lines.
        metric: a column of the ladder, between 0 and 1.
    Raises:
        ValueError: the ladder has no such column.
    """
    if metric not in ladder.columns:
        raise ValueError(f"metric={metric!r} is not in the ladder; it has {list(ladder.columns)}")
    if ax is None:
        _, ax = plt.subplots(figsize=(1.8 * len(ladder) + 3.2, 4.2), layout="constrained")
    values = ladder[metric].to_list()
    bars = ax.bar(range(len(ladder)), values, width=0.62, color=BLUE)
    ax.bar_label(bars, [f"{v:.1%}" for v in values], padding=3)
    ax.set_xticks(range(len(ladder)), [_tick(row) for row in ladder.to_dict("records")])
    for (name, value), style in zip((baselines or {}).items(), ("--", ":", "-.") * 9, strict=False):
        ax.axhline(value, color=ORANGE, linestyle=style, linewidth=1.5, zorder=3)
        # Beside the bars, where no bar can hide it.
        ax.text(len(ladder) - 0.42, value, f" {name} {value:.1%}", color=ORANGE, va="center", ha="left")
    everything = [*values, *(baselines or {}).values()]
    ax.set_ylim(0, min(1.0, max(everything) * 1.15))
    ax.set_xlim(-0.6, len(ladder) - (0.4 if not baselines else -1.0))
    ax.set_ylabel(f"{metric.replace('_', ' ')} on validation rows")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("The ladder: what each phase of unfreezing brings", loc="left")
    return ax.figure


def _tick(row: dict) -> str:
    epochs = f"{row['epochs']} epoch" + ("s" if row["epochs"] > 1 else "")
    return f"{row['phase']}\n{epochs}, {row['seconds']:.0f} s"
