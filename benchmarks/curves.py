"""Tables and a picture of accuracy over seconds, from the runs of `time_to_accuracy.py`."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

COLOURS = {"kickbert": "#d55e00", "phased": "#e69f00", "tuned": "#0072b2"}  # Okabe and Ito 2008
COLOURS |= {"documented": "#56b4e9", "simpletransformers": "#009e73", "setfit": "#cc79a7"}
COLOURS |= {"steps": "#e69f00", "one curve": "#009e73"}


def tables(found: list[dict], names: dict[str, str]) -> str:
    """What each model ends with, and the seconds kickbert needs for what a rival ends with, in Markdown."""
    df = pd.DataFrame(found)
    lines = ["| set | model | seeds | accuracy | seconds | times kickbert's |", "|---|---|---|---|---|---|"]
    for name, rows in df.groupby("set", sort=False):
        own = rows[rows["model"] == "kickbert"].set_index("seed")
        for model in (m for m in names if m in set(rows["model"])):
            runs = rows[rows["model"] == model].set_index("seed")
            spread = f" ± {100 * runs['accuracy'].std():.1f}" if len(runs) > 1 else ""
            ratio = (runs["seconds"] / own["seconds"]).mean()
            lines.append(
                f"| {name} | {names[model]} | {len(runs)} | {100 * runs['accuracy'].mean():.1f}{spread} "
                f"| {runs['seconds'].mean():.0f} | {ratio:.1f} |"
            )
    lines += [
        "",
        "| set | rival (seeds) | ends with | after | kickbert is there after | times faster |",
        "|---" * 6 + "|",
    ]
    for name, rows in df.groupby("set", sort=False):
        rivals = [m for m in ("documented", "tuned") if m in set(rows["model"])]
        lines += [_reached(name, rows, model, names[model]) for model in rivals]
    return "\n".join([*lines, *_summary(df, names)])


def mean_curve(rows: pd.DataFrame) -> np.ndarray:
    """Seconds and accuracy at each look, means over the runs of a model on a set: shape (looks, 2)."""
    return np.mean(np.array(rows["curve"].tolist()), axis=0)


def _reached(name: str, rows: pd.DataFrame, model: str, title: str) -> str:
    """On the seeds that both have run, by the mean curves."""
    rival = rows[rows["model"] == model]
    own = rows[(rows["model"] == "kickbert") & rows["seed"].isin(rival["seed"])]
    rival = rival[rival["seed"].isin(own["seed"])]
    target, seconds = rival["accuracy"].mean(), rival["seconds"].mean()
    curve = mean_curve(own)
    there = curve[curve[:, 1] >= target]
    told = f"not (best {100 * curve[:, 1].max():.1f}) | "
    if len(there):
        told = f"{there[0, 0]:.0f} s | {seconds / there[0, 0]:.1f}"
    return f"| {name} | {title} ({len(rival)}) | {100 * target:.1f} | {seconds:.0f} s | {told} |"


def _summary(df: pd.DataFrame, names: dict[str, str]) -> list[str]:
    """Whole runs, of the seeds that both have run."""
    by, lines = df.pivot(index=["set", "seed"], columns="model", values=["seconds", "accuracy"]), []
    for own in ("kickbert", "phased"):
        if not {own, "tuned"} <= set(df["model"]):
            continue
        pair = by.swaplevel(axis=1)[[own, "tuned"]].dropna()
        ratio = (pair["tuned"]["seconds"] / pair[own]["seconds"]).groupby("set").mean()
        points = 100 * (pair[own]["accuracy"] - pair["tuned"]["accuracy"]).groupby("set").mean()
        lines += [
            "",
            f"Whole runs of {names[own]}, against the tuned Trainer, mean over {len(ratio)} sets and "
            f"{len(pair)} runs: {ratio.mean():.2f} times faster, {points.mean():+.2f} points.",
        ]
    return lines


def draw(found: list[dict], names: dict[str, str], file: Path) -> None:
    """Accuracy over seconds, a panel a set, means over seeds."""
    df = pd.DataFrame(found)
    sets = list(df["set"].unique())
    fig, axes = plt.subplots(1, len(sets), figsize=(4.6 * len(sets), 4.2), layout="constrained", squeeze=False)
    for ax, name in zip(axes[0], sets, strict=True):
        for model in (m for m in names if m in set(df.loc[df["set"] == name, "model"])):
            curve = mean_curve(df[(df["set"] == name) & (df["model"] == model)])
            ax.plot(*curve.T, marker="o", ms=4, color=COLOURS[model], label=names[model])
            ax.plot(*curve[-1], marker="o", ms=8, color=COLOURS[model])
        ax.set(title=name, xlabel="seconds of training", xscale="log")
        shown = ax.get_xlim()
        ax.set_xticks([t for t in (2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000) if shown[0] <= t <= shown[1]])
        ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")
        ax.grid(alpha=0.3)
    axes[0][0].set_ylabel("accuracy on test rows")
    handles, labels = axes[0][0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), len(sets)), frameon=False)
    fig.savefig(file, dpi=110)
    plt.close(fig)
