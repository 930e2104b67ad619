"""Facts about texts and labels, a table for each: missing cells, lengths, languages, classes, suspicious labels."""

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
    """Count missing cells by column.

    Returns:
        column, missing, share (of the rows); columns without missing cells are left out.
    """
    counts = df.isna().sum()
    out = pd.DataFrame({"column": counts.index.astype(str), "missing": counts.to_numpy()})
    return out.assign(share=out["missing"] / max(1, len(df)))[out["missing"] > 0].reset_index(drop=True)


def truncated(lengths: np.ndarray, at: Sequence[int]) -> pd.DataFrame:
    """Compute the share of rows that each `max_length` would truncate.

    Args:
        lengths: tokens of each row, shape (n,).
        at: values of `max_length`.
    Returns:
        max_length, share truncated, median (tokens of a row, the same in each row of the table).
    """
    return pd.DataFrame(
        {
            "max_length": at,
            "share truncated": [float((lengths > n).mean()) for n in at],
            "median": int(np.median(lengths)),
        }
    )


def languages(texts: Sequence[str]) -> pd.DataFrame:
    """Count texts by detected language.

    Returns:
        language (ISO 639-1), rows, share; the largest first. Texts without letters are left out.
    """
    counts = Counter(language for language in detect_languages(texts) if language)
    return _counted("language", counts, counts.total())


def label_names(values: pd.Series | pd.DataFrame, task: str, delim: str | None) -> list[list[str]]:
    """List the labels of each row as text; an empty list where they are missing.

    Args:
        values: the label column, or a column of zeros and ones for each label.
        task: "single label", "multi-label", …
        delim: between the labels of a cell; None for lists.
    """
    if isinstance(values, pd.DataFrame):
        return [[str(values.columns[i]) for i in np.flatnonzero(row)] for row in from_columns(values)]
    if task == MULTI:
        return [[str(label) for label in labels] for labels in label_lists(values, delim)]
    return [[] if gone else [str(v)] for v, gone in zip(values, values.isna(), strict=True)]


def class_counts(names: list[list[str]]) -> pd.DataFrame:
    """Count rows by class.

    Args:
        names: the labels of each row.
    Returns:
        class, rows, share; the largest first.
    """
    return _counted("class", Counter(name for row in names for name in row), len(names))


def _counted(column: str, counts: Counter, total: int) -> pd.DataFrame:
    """Names, rows and shares, the largest first."""
    rows = counts.most_common()
    table = pd.DataFrame({column: [r[0] for r in rows], "rows": [r[1] for r in rows]})
    return table.assign(share=table["rows"] / max(1, total))


def suspicious_labels(index: pd.Index, texts: Sequence[str], labels: pd.Series) -> pd.DataFrame:
    """Likely label errors by confident learning (Northcutt, Jiang and Chuang 2021), with cleanlab.

    Out-of-fold probabilities are those of TF-IDF and logistic regression, in five folds.

    Args:
        index: row labels, shape (n,).
        texts: shape (n,).
        labels: shape (n,), missing ones included; classes of fewer than five rows are left out.
    Returns:
        row, label, suggested, probability of label, text; the most suspicious first.
    """
    require("cleanlab", extra="report")
    from cleanlab.filter import find_label_issues
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    columns = ["row", "label", "suggested", "probability of label", "text"]
    named = labels.astype(str).where(labels.notna())
    usable = named.isin(named.value_counts().loc[lambda n: n >= 5].index).to_numpy()
    if not usable.any() or named[usable].nunique() < 2:
        return pd.DataFrame(columns=columns)
    rows = np.flatnonzero(usable)
    names, codes = np.unique(named[usable], return_inverse=True)
    model = make_pipeline(tfidf_vectorizer(len(rows)), LogisticRegression(C=10, max_iter=1000))
    probs = cross_val_predict(model, [texts[i] for i in rows], codes, cv=5, method="predict_proba")
    worst = find_label_issues(codes, probs, return_indices_ranked_by="self_confidence", n_jobs=1)
    records = [
        (index[rows[i]], names[codes[i]], names[probs[i].argmax()], probs[i, codes[i]], shorten(texts[rows[i]], WIDTH))
        for i in worst
    ]
    return pd.DataFrame(records, columns=columns)
