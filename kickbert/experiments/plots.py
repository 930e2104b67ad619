"""Plots of training: losses and rates, the ladder of phases, scores by number of rows, a search.

Every function returns its figure and takes `ax=`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kickbert.utils.plotting import BLUE, GRAY, LINES, ORANGE, axes_of, figure_of, literal


def plot_learning_curves(learn: Any, metric: str | None = None, ax: Sequence[Axes] | None = None) -> Figure:
    """Plot losses, a metric and learning rates over the steps of all fits so far.

    Args:
        learn: a learner that was trained in this process.
        metric: name of a metric; None for the first one.
        ax: two axes, for losses and learning rates; None for a new figure.
    Raises:
        ValueError: the learner has not been trained, or the metric is unknown.
    """
    history = learn.history.fits
    if not history:
        raise ValueError("the learner has not been trained. Call fit_gradual() first")
    names = history[-1].names
    metric = metric or next((n for n in names if n not in ("train_loss", "valid_loss")), None)
    if metric is None or metric not in names:
        raise ValueError(f"metric={metric!r} was not recorded. Metrics: {', '.join(names)}")
    if ax is None:
        _, ax = plt.subplots(2, 1, figsize=(7.5, 5.6), layout="constrained", sharex=True, height_ratios=(2, 1))
    (losses, rates), step = ax, 0
    metrics = losses.twinx()
    for i, fit in enumerate(history):
        _plot_losses(fit, step, losses, metrics, metric, named=i == 0)
        _plot_rates(fit, step, rates)
        title = literal(fit.title, width=60)
        losses.text(step + 0.5, 1.01, title, transform=losses.get_xaxis_transform(), fontsize=8, color=GRAY)
        step += len(fit.losses)
        for axes in (losses, rates):
            axes.axvline(step + 0.5, color=GRAY, linestyle=":", linewidth=1)
    losses.set(ylabel="loss", ylim=(0, None))
    metrics.set_ylabel(_spaced(metric), color=ORANGE)
    rates.set(xlabel="training step", ylabel="learning rate", yscale="log")
    handles = [*losses.get_legend_handles_labels()[0], *metrics.get_legend_handles_labels()[0]]
    losses.legend(handles=handles, frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.05), ncols=3)
    rates.legend(frameon=False, fontsize=8)
    return figure_of(losses)


def _spaced(metric: str) -> str:
    """Format the name of a metric for an axis label."""
    return literal(metric.replace("_", " "), width=40)


def _plot_losses(fit: Any, step: int, losses: Axes, metrics: Axes, metric: str, named: bool) -> None:
    """Draw the training loss of each step, and the validation loss and the metric after each epoch."""
    steps = step + np.arange(1, len(fit.losses) + 1)
    losses.plot(steps, smoothed(fit.losses), color=BLUE, linewidth=1, label="training loss" if named else None)
    ends = step + np.linspace(0, len(fit.losses), len(fit.values) + 1)[1:]
    for name, axes, color, marker in (("valid_loss", losses, BLUE, "o"), (metric, metrics, ORANGE, "s")):
        if name in fit.names:
            label = "validation loss" if name == "valid_loss" else _spaced(name)
            values = [epoch[fit.names.index(name)] for epoch in fit.values]
            axes.plot(ends, values, marker, color=color, ms=5, label=label if named else None)


def _plot_rates(fit: Any, step: int, rates: Axes) -> None:
    """Draw a line for each learning rate, labeled with its parameter groups."""
    steps = step + np.arange(1, len(fit.losses) + 1)
    for share, (color, style) in zip(sorted(set(fit.shares), reverse=True), LINES, strict=False):
        groups = [g for g, s in zip(fit.groups, fit.shares, strict=True) if s == share]
        label = groups[0] if len(groups) == 1 else f"{groups[0]} to {groups[-1]}"
        is_new = label not in rates.get_legend_handles_labels()[1]
        values = np.array(fit.rates) * share
        rates.plot(steps, values, style, color=color, linewidth=1.2, label=label if is_new else None)


def smoothed(losses: Sequence[float], share: float = 0.05) -> np.ndarray:
    """Smooth losses with a centered moving average.

    Args:
        losses: loss of each step, shape (steps,).
        share: window size as a share of the steps.
    Returns:
        Smoothed losses, shape (steps,).
    """
    width = max(1, round(share * len(losses)))
    return pd.Series(np.asarray(losses, dtype=float)).rolling(width, min_periods=1, center=True).mean().to_numpy()


def plot_sizes(table: pd.DataFrame, metric: str = "accuracy", ax: Axes | None = None) -> Figure:
    """Plot a metric by number of training rows: mean and standard deviation over repeats.

    Args:
        table: table from `by_size`.
        metric: column of the table.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: the metric is not a column of the table.
    """
    if metric not in table.columns:
        raise ValueError(
            f"metric={metric!r} is not a column of the table. Columns: {', '.join(map(str, table.columns))}"
        )
    ax = axes_of(ax, (5.2, 3.8))
    by_rows = table.groupby("rows")[metric].agg(["mean", "std"]).fillna(0.0)
    ax.errorbar(by_rows.index, by_rows["mean"], yerr=by_rows["std"], color=BLUE, marker="o", ms=4, capsize=3)
    ax.set(xscale="log", xlabel="number of training rows", ylabel=_spaced(metric))
    ax.set_xticks(by_rows.index, [f"{n:,}" for n in by_rows.index], rotation=45, ha="right")
    ax.set_xticks([], minor=True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Learning curve", loc="left")
    return figure_of(ax)


def plot_ladder(
    ladder: Any, baselines: dict[str, float] | None = None, metric: str = "accuracy", ax: Axes | None = None
) -> Figure:
    """Plot a metric after each phase of gradual unfreezing, with baselines.

    Args:
        ladder: the table that `fit_gradual` returns, or the learner.
        baselines: the same metric for other models, by name, drawn as dashed lines.
        metric: column of the ladder with values between 0 and 1.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: the metric is not a column of the ladder.
    """
    if not isinstance(ladder, pd.DataFrame):
        ladder = pd.DataFrame(ladder.ladder)
        if ladder.empty:
            raise ValueError("the learner has no ladder. Call fit_gradual() first")
    if metric not in ladder.columns:
        raise ValueError(
            f"metric={metric!r} is not a column of the ladder. Columns: {', '.join(map(str, ladder.columns))}"
        )
    baselines = baselines or {}
    ax = axes_of(ax, (1.8 * len(ladder) + 3.2, 4.2))
    values = ladder[metric].to_list()
    bars = ax.bar(range(len(ladder)), values, width=0.98, color=BLUE)  # adjacent bars look like stairs
    background = {"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 1}  # keeps lines from crossing the text
    ax.bar_label(bars, [f"{v:.1%}" for v in values], padding=3, zorder=4, bbox=background)
    gains = ["", *("" if np.isnan(gain) else f"{100 * gain:+.1f} points" for gain in np.diff(values))]
    ax.bar_label(bars, gains, label_type="center", color="white", zorder=4, bbox=background | {"facecolor": BLUE})
    ax.set_xticks(range(len(ladder)), [_phase_label(row) for row in ladder.to_dict("records")])
    for (name, value), style in zip(baselines.items(), ("--", ":", "-.") * 9, strict=False):
        ax.axhline(value, color=ORANGE, linestyle=style, linewidth=1.5, zorder=3)
        label = f" {literal(name)} {value:.1%}"
        # To the right of the bars, so that no bar hides it.
        ax.text(len(ladder) - 0.42, value, label, color=ORANGE, va="center", ha="left", zorder=4, bbox=background)
    ax.set_ylim(0, min(1.0, max([*values, *baselines.values()]) * 1.15))
    ax.set_xlim(-0.6, len(ladder) - (0.4 if not baselines else -1.0))
    ax.set_ylabel(f"{_spaced(metric)} on validation rows")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Gradual unfreezing, by phase", loc="left")
    return figure_of(ax)


def _phase_label(row: dict) -> str:
    unit = "epoch" if "epochs" in row else "step"
    count = row[f"{unit}s"]
    length = "" if pd.isna(count) else f"{count:.0f} {unit}{'s' if count > 1 else ''}, "
    return f"{literal(row['phase'])}\n{length}{row['seconds']:.0f} s"


def plot_search(result: Any, ax: Axes | None = None) -> Figure:
    """Plot the history of a search: the score of each trial on the validation rows, and the best score so far.

    Args:
        result: result of `search`.
        ax: axes to draw on; None for a new figure.
    """
    ax = axes_of(ax, (6.4, 3.8))
    for state, marker, color in (("pruned", "x", GRAY), ("complete", "o", BLUE)):
        rows = result.trials[result.trials["state"] == state]
        ax.plot(rows["trial"], rows["score"], marker, color=color, ms=5, label=f"{state} ({len(rows)})")
    complete = result.trials[result.trials["state"] == "complete"].sort_values("trial")
    ax.step(complete["trial"], complete["score"].cummax(), where="post", color=BLUE, linewidth=1.2, label="best so far")
    ax.axhline(result.default_score, color=ORANGE, linestyle="--", linewidth=1.5, label="default recipe")
    ax.set(xlabel="trial", ylabel=f"{_spaced(result.check.columns[1])} on validation rows")
    ax.legend(frameon=False, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Hyperparameter search", loc="left")
    return figure_of(ax)


def plot_importances(result: Any, ax: Axes | None = None) -> Figure:
    """Plot the share of the variance of scores that each hyperparameter explains (fANOVA), from complete trials.

    Args:
        result: result of `search`.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: too few complete trials.
    """
    importances = result.importances.sort_values()
    if importances.empty:
        raise ValueError("too few complete trials to compute importances. Search with more trials")
    ax = axes_of(ax, (5.2, 0.8 + 0.35 * len(importances)))
    ax.barh([literal(name) for name in importances.index], importances, color=BLUE)
    ax.set_xlabel("share of the variance of scores")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("Hyperparameter importance", loc="left")
    return figure_of(ax)
