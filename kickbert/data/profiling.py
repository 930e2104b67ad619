"""Facts about texts and labels: duplicates, lengths, telling words, languages, suspicious labels. A table for each."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.targets.kinds import MULTI
from kickbert.targets.multilabel import from_columns, label_lists
from kickbert.text.duplicates import WIDTH
from kickbert.text.word_statistics import detect_languages, tfidf_vectorizer
from kickbert.utils.extras import require
from kickbert.utils.messages import shorten


def missing(df: pd.DataFrame) -> pd.DataFrame:
    """Missing cells by column, where there are any."""
    counts = df.isna().sum()
    out = pd.DataFrame({"column": counts.index.astype(str), "missing": counts.to_numpy()})
    return out.assign(share=out["missing"] / max(1, len(df)))[out["missing"] > 0].reset_index(drop=True)


def truncated(lengths: np.ndarray, at: Sequence[int]) -> pd.DataFrame:
    """For each `max_length` the share of rows that it would cut; and the median length."""
    return pd.DataFrame(
        {"max_length": at, "share cut": [float((lengths > n).mean()) for n in at], "median": int(np.median(lengths))}
    )


def languages(texts: Sequence[str]) -> pd.DataFrame:
    """How many texts are in which language."""
    counts = Counter(found for found in detect_languages(texts) if found)
    return _counted("language", counts, counts.total())


def label_names(values: pd.Series | pd.DataFrame, task: str, delim: str | None) -> list[list[str]]:
    """The labels of each row, as text; none where they are missing."""
    if isinstance(values, pd.DataFrame):
        given = from_columns(values)
        return [[str(values.columns[i]) for i in np.flatnonzero(row)] for row in given]
    if task == MULTI:
        return [[str(label) for label in labels] for labels in label_lists(values, delim)]
    return [[] if gone else [str(v)] for v, gone in zip(values, values.isna(), strict=True)]


def class_counts(names: list[list[str]]) -> pd.DataFrame:
    """Rows of each class, the largest first."""
    return _counted("class", Counter(name for row in names for name in row), len(names))


def _counted(what: str, counts: Counter, total: int) -> pd.DataFrame:
    """Names, rows and shares, the largest first."""
    rows = counts.most_common()
    table = pd.DataFrame({what: [r[0] for r in rows], "rows": [r[1] for r in rows]})
    return table.assign(share=table["rows"] / max(1, total))


def suspicious(index: pd.Index, texts: Sequence[str], labels: pd.Series) -> pd.DataFrame:
    """Rows whose label a word-count model, trained on the other rows, would not have given: by cleanlab.

    Confident learning (Northcutt, Jiang and Chuang 2021) on five-fold probabilities of TF-IDF and logistic regression.
    """
    require("cleanlab", extra="report")
    from cleanlab.filter import find_label_issues
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    columns = ["row", "label", "rather", "probability of label", "text"]
    named = labels.astype(str).where(labels.notna())
    usable = named.isin(named.value_counts().loc[lambda n: n >= 5].index).to_numpy()
    if not usable.any() or named[usable].nunique() < 2:
        return pd.DataFrame(columns=columns)
    rows = np.flatnonzero(usable)
    names, codes = np.unique(named[usable], return_inverse=True)
    model = make_pipeline(tfidf_vectorizer(len(rows)), LogisticRegression(C=10, max_iter=1000))
    probs = cross_val_predict(model, [texts[i] for i in rows], codes, cv=5, method="predict_proba")
    worst = find_label_issues(codes, probs, return_indices_ranked_by="self_confidence", n_jobs=1)
    told = [
        (index[rows[i]], names[codes[i]], names[probs[i].argmax()], probs[i, codes[i]], shorten(texts[rows[i]], WIDTH))
        for i in worst
    ]
    return pd.DataFrame(told, columns=columns)
