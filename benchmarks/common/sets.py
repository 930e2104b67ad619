"""Data sets for the benchmarks: training, validation, and test rows, drawn with a seed."""

import os
import warnings
from pathlib import Path

import pandas as pd

from kickbert.data.splits import split, stratified_sample
from kickbert.targets.fitting import fit_target

# Not part of the repository: data/README.md says where each set is published.
FOLDER = Path(os.environ.get("KICKBERT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
ROWS = {"kickstarter": 12_800, "sst2": 7_000, "ag_news": 5_000, "huffpost": 5_000}  # training rows by default
# Sets that are part of another file.
FILES = {"reuters52": "reuters", "topics10": "reuters", "emotions10": "goemotions", "tweets": "xlm_sentiment"}
TEXT = {"kickstarter": ["name", "blurb"], "huffpost": ["headline", "short_description"]}


def _draw(df: pd.DataFrame, rows: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split df into `rows` rows, stratified by label, and the rest."""
    if rows >= len(df):
        return df, df.iloc[:0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with one row stays on one side
        chosen = stratified_sample(df["label"].astype(str).to_numpy(), rows / len(df), seed)
    return df[chosen], df[~chosen]


def load(name: str, seed: int, rows: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, list[str]]:
    """Training, validation and test rows with a column `label`, and the text columns.

    The publisher's test set is kept where there is one. Kickstarter's label is `pledged` in four quantile bins, with
    edges from the training rows.
    """
    df = pd.read_csv(FOLDER / f"{name}.csv.gz")
    rows = rows or ROWS[name]
    if name == "kickstarter":
        df = df.dropna(subset=["name", "blurb", "pledged"]).sample(frac=1, random_state=seed)
        test, valid, train = df[:3_200], df[3_200:4_800], df[4_800 : 4_800 + rows]
        target = fit_target(train["pledged"], bins=4)
        parts = [part.assign(label=target.encode(part["pledged"])) for part in (train, valid, test)]
    elif name == "huffpost":
        df = df.rename(columns={"category": "label"}).fillna({"short_description": ""}).dropna(subset=["headline"])
        test, rest = _draw(df, 2_000, seed)
        valid, rest = _draw(rest, 1_000, seed)
        parts = [_draw(rest, rows, seed)[0], valid, test]
    elif name == "sst2":
        pool = df[df["split"] == "train"]
        parts = [_draw(pool, rows, seed)[0], df[~df["split"].isin(["train", "test"])], df[df["split"] == "test"]]
    else:
        valid, pool = _draw(df[df["split"] == "train"], 1_000, seed)
        parts = [_draw(pool, rows, seed)[0], valid, df[df["split"] == "test"]]
    return *(part.reset_index(drop=True) for part in parts), TEXT.get(name, ["text"])


def study_parts(
    name: str, seed: int, rows: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, list[str]]:
    """Like `load`, with the columns as published; also sets with several labels (`labels`), imbalanced and long ones.

    `reuters52` has the single-topic rows of Reuters whose topic is in training and test rows: 52 classes. `topics10`
    and `emotions10` have the rows of the ten most frequent single labels, `tweets` the English ones, `wine` the
    varietal.
    """
    if name in ROWS:
        return load(name, seed, rows)
    df = pd.read_csv(FOLDER / f"{FILES.get(name, name)}.csv.gz")
    if name == "smile":  # 12 classes without `nocode`; no publisher's test set
        df = df[df["label"] != "nocode"]
        test, pool = _draw(df, len(df) // 4, seed)
        valid, pool = _draw(pool, len(pool) // 10, seed)
    elif name == "imdb":  # all of its training rows train
        pool, (valid, test) = df[df["split"] == "train"], _draw(df[df["split"] == "test"], 1_000, seed)
    elif name in ("topics10", "emotions10", "tweets", "wine"):
        df = df[df["lang"] == "english"] if name == "tweets" else df
        df = df.rename(columns={"topics": "label", "labels": "label", "varietal": "label", "description": "text"})
        df = df[~df["label"].str.contains("|", regex=False)].dropna(subset=["text"]).drop_duplicates("text")
        df = df[df["label"].isin(df["label"].value_counts().index[:10])]
        test, pool = _draw(df, 1_500 if len(df) > 6_000 else len(df) // 4, seed)
        valid, pool = _draw(pool, 600, seed)
    elif name == "reuters52":
        df = df.rename(columns={"topics": "label"})
        df = df[~df["label"].str.contains("|", regex=False)]
        both = df.groupby("label")["split"].nunique() == 2
        df = df[df["label"].isin(both[both].index)]
        valid, pool = _draw(df[df["split"] == "train"], 600, seed)
        test = df[df["split"] == "test"]
    else:
        df = df.rename(columns={"topics": "labels"})
        test, pool = df[df["split"] == "test"], df[df["split"] == "train"]
        valid = df[~df["split"].isin(["train", "test"])]
        if not len(valid):
            parts = split(pool, valid=0.1, test=0, seed=seed, label_col="labels", label_delim="|")["split"]
            valid, pool = pool[parts == "valid"], pool[parts == "train"]
    train = pool if rows is None else _draw(pool, rows, seed)[0]
    return *(part.reset_index(drop=True) for part in (train, valid, test)), ["text"]


def joined(df: pd.DataFrame, columns: list[str]) -> list[str]:
    """The text columns of each row as one string, for libraries without columns."""
    return df[columns].astype(str).agg(" . ".join, axis=1).tolist()
