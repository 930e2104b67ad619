"""Draw the pictures of the README and the guide, each in light and dark.

    python docs/gallery.py            # five minutes on two cores; KICKBERT_DATA names the folder of the data sets
    python docs/gallery.py front      # one of them

`probe` needs sst2 and Kickstarter (data/README.md says where they are published), the right half of `front` needs
benchmarks/runs/time_to_accuracy.jsonl; the others use the project's synthetic data.
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import PercentFormatter

import kickbert

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "benchmarks"))
SEED = 42
PALE, INK = "#c9d1d9", "#0d1117"  # text and background in dark mode
THEMES = {
    "light": {"savefig.facecolor": "white"},
    "dark": {f"{part}.facecolor": INK for part in ("figure", "axes", "savefig")}
    | dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), PALE),
}
TRAINED, KEPT = "#D55E00", "#56B4E9"  # Okabe and Ito's palette
RUNS = HERE.parent / "benchmarks" / "runs" / "time_to_accuracy.jsonl"


def learner(df: pd.DataFrame, **columns) -> kickbert.GradualLearner:
    """A learner with the small encoder."""
    return kickbert.learner_from_df(df, model="minilm", seed=SEED, path=tempfile.mkdtemp(), **columns)


@cache
def campaigns() -> tuple[kickbert.GradualLearner, pd.DataFrame]:
    """A learner for the synthetic campaigns, as in the README, and its ladder."""
    df = pd.read_csv(HERE.parent / "data" / "kickstarter_sample.csv").sample(frac=1, random_state=SEED)
    df = kickbert.split(df.reset_index(drop=True), label_col="pledged")
    learn = learner(df, text_col=["name", "blurb"], label_col="pledged", bins=4, valid="split")
    return learn, learn.fit_gradual()


def front() -> None:
    """Draw the ladder above the layers, next to accuracy over seconds of kickbert and the tuned Trainer."""
    learn, ladder = campaigns()
    figure, axes = plt.subplot_mosaic(
        [["ladder", "time"], ["layers", "time"]], figsize=(11, 5.4), layout="constrained", height_ratios=(1.7, 1),
        width_ratios=(1.1, 1),
    )  # fmt: skip
    kickbert.experiments.plot_ladder(ladder, ax=axes["ladder"])
    axes["ladder"].tick_params(bottom=False)
    plot_layers(axes["layers"], list(learn.groups["group"]), kickbert.gradual_unfreezing(len(learn.groups)))
    axes["layers"].set_xlim(axes["ladder"].get_xlim())
    plot_seconds(axes["time"], "ag_news")
    save(figure, "front")


def plot_layers(ax: Axes, groups: Sequence[str], phases: Sequence[kickbert.Phase]) -> None:
    """Plot which groups train in each phase, and which are read from the cache."""
    trains = np.array([[group >= phase.freeze_to for phase in phases] for group in range(len(groups))])
    columns, edge = np.arange(len(phases) + 1) - 0.5, plt.rcParams["savefig.facecolor"]
    ax.pcolormesh(
        columns, np.arange(len(groups) + 1), trains, cmap=ListedColormap([KEPT, TRAINED]), edgecolors=edge, lw=2
    )
    for x, phase in enumerate(phases):
        start, text = phase.freeze_to, {"ha": "center", "va": "center", "color": "black", "fontsize": 8}
        ax.text(x, start // 2 + 0.47, "computed once, kept", **text)
        ax.text(x, (start + len(groups)) // 2 + 0.47, "trains", **text)
    ax.set_yticks(np.arange(len(groups)) + 0.5, groups, fontsize=7)
    ax.tick_params(length=0)
    ax.set_xticks([])
    ax.spines[:].set_visible(False)


def plot_seconds(ax: Axes, name: str) -> None:
    """Plot test accuracy over seconds of training, means over seeds, from the recorded runs."""
    df = pd.DataFrame([json.loads(line) for line in RUNS.read_text(encoding="utf-8").splitlines()])
    df = df[(df["set"] == name) & df["curve"].notna()]
    for model, color, title in (("kickbert", TRAINED, "kickbert"), ("tuned", KEPT, "HF Trainer, tuned")):
        seconds, accuracy = np.mean(np.array(df.loc[df["model"] == model, "curve"].tolist()), axis=0).T
        ax.plot(seconds, accuracy, "o-", ms=4, color=color)
        place = {"xytext": (10, -4), "ha": "left"} if model == "kickbert" else {"xytext": (0, -50), "ha": "right"}
        label = f"{title}\n{accuracy[-1]:.1%} after {seconds[-1]:.0f} s"
        ax.annotate(label, (seconds[-1], accuracy[-1]), textcoords="offset points", **place)
    ax.set(xlabel="seconds of training, on two cores", ylabel="accuracy on test rows", xlim=(0, None))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(f"Accuracy over time, {name}", loc="left")


def layers() -> None:
    """Draw which layers are computed in each phase and epoch."""
    phases = kickbert.gradual_unfreezing(8)
    figure, axes = plt.subplots(1, len(phases), figsize=(9, 3.6), layout="constrained", sharey=True)
    groups = ["embeddings", *(f"layer {i}" for i in range(1, 7)), "head"]
    for ax, phase in zip(axes, phases, strict=True):
        columns = ["before", *(f"epoch {i + 1}" for i in range(phase.epochs))]
        work = np.array([[int(g < phase.freeze_to), *[2 * (g >= phase.freeze_to)] * phase.epochs] for g in range(8)])
        edge = plt.rcParams["savefig.facecolor"]
        ax.pcolormesh(work, cmap=ListedColormap([edge, KEPT, TRAINED]), vmin=0, vmax=2, edgecolors=edge, lw=2)
        ax.text(0.5, phase.freeze_to / 2, "once", ha="center", va="center", color="black")
        for x in range(phase.epochs):
            ax.text(x + 1.5, (phase.freeze_to + 8) / 2, "trains", ha="center", va="center", color="black")
            ax.annotate("", (x + 1.5, phase.freeze_to), (x + 1.5, 0.3), arrowprops={"arrowstyle": "->", "color": KEPT})
            ax.text(x + 1.55, 0.4, " read", color=KEPT, va="bottom")
        ax.set_xticks(np.arange(len(columns)) + 0.5, columns)
        ax.set_yticks(np.arange(8) + 0.5, groups)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(f"phase: {phase.name}", loc="left")
    save(figure, "layers")


@cache
def probed(name: str) -> pd.DataFrame:
    """Draw scores of linear probes at each depth of the encoder, before training."""
    from common.sets import load

    train, valid, _, columns = load(name, SEED, 5_000)
    df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
    return kickbert.evaluation.probe(learner(df, text_col=columns, valid="split"))


def probe() -> None:
    """Draw the probes of two tasks."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for ax, name in zip(axes, ("sst2", "kickstarter"), strict=True):
        kickbert.evaluation.plot_probe(probed(name), ax=ax)
        ax.set_title(f"Linear probes, {name}", loc="left")
    save(figure, "probe")


@cache
def emotions() -> tuple[kickbert.GradualLearner, kickbert.evaluation.Predictions]:
    """A learner for the synthetic tweets, and its predictions for test rows."""
    df = kickbert.split(pd.read_csv(HERE.parent / "data" / "tweets_sample.csv"), seed=SEED)
    learn = learner(df[df["split"] != "test"], valid="split")
    learn.fit_gradual()
    return learn, kickbert.evaluate(learn, df[df["split"] == "test"]).predictions


def learning_curves() -> None:
    """Draw losses and learning rates of the model for the synthetic tweets."""
    save(kickbert.experiments.plot_learning_curves(emotions()[0]), "learning_curves")


def judged() -> None:
    """Draw the confusion matrix and reliability diagram of the model for the synthetic tweets."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4), layout="constrained")
    kickbert.evaluation.plot_confusion(emotions()[1], rates=True, ax=axes[0])
    kickbert.evaluation.plot_calibration(emotions()[1], ax=axes[1])
    save(figure, "judged")


def save(figure: plt.Figure, name: str) -> None:
    """Write a picture next to this script."""
    theme = "dark" if plt.rcParams["savefig.facecolor"] == INK else "light"
    file = HERE / f"{name}-{theme}.png"
    figure.savefig(file, dpi=110)
    plt.close(figure)
    print(file)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    drawn = {make.__name__: make for make in (front, layers, probe, learning_curves, judged)}
    for theme in THEMES.values():
        with plt.rc_context(theme):
            for name in sys.argv[1:] or drawn:
                drawn[name]()
