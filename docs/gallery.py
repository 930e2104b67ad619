"""The pictures of the guide's gallery.

    python docs/gallery.py            # five minutes on two cores; KICKBERT_DATA names the folder of the data sets

`probe.png` needs sst2 and Kickstarter (data/README.md says where they are published); the others are made from the
project's own synthetic data.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

import kickbert

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "benchmarks"))
SEED = 42


def learner(df: pd.DataFrame, **columns) -> kickbert.GradualLearner:
    """A learner of the small encoder."""
    return kickbert.learner_from_df(df, model="minilm", seed=SEED, path=tempfile.mkdtemp(), **columns)


def probes() -> None:
    """Linear probes of each depth of the encoder, before any training, on two tasks."""
    from common.sets import load

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for ax, name in zip(axes, ("sst2", "kickstarter"), strict=True):
        train, valid, _, columns = load(name, SEED, 5_000)
        df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
        table = kickbert.evaluation.probe(learner(df, text_col=columns, valid="split"))
        kickbert.evaluation.plot_probe(table, ax=ax)
        ax.set_title(f"Linear probes, {name}", loc="left")
    save(figure, "probe")


def tweets() -> None:
    """Learning curves, confusion matrix and reliability diagram of a model of the synthetic tweets."""
    df = kickbert.split(pd.read_csv(HERE.parent / "data" / "tweets_sample.csv"), seed=SEED)
    learn = learner(df[df["split"] != "test"], valid="split")
    learn.fit_gradual()
    predictions = kickbert.evaluate(learn, df[df["split"] == "test"]).predictions
    save(kickbert.experiments.plot_learning_curves(learn), "learning_curves")
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4), layout="constrained")
    kickbert.evaluation.plot_confusion(predictions, rates=True, ax=axes[0])
    kickbert.evaluation.plot_calibration(predictions, ax=axes[1])
    save(figure, "judged")


def save(figure: plt.Figure, name: str) -> None:
    """Write a picture beside this script."""
    figure.savefig(HERE / f"{name}.png", dpi=110)
    print(HERE / f"{name}.png")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    probes()
    tweets()
