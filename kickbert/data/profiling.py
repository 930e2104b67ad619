"""Facts about texts and labels: duplicates, lengths, telling words, languages, suspicious labels. A table for each."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.data.display import shorten
from kickbert.evaluation.baselines import word_counts
from kickbert.targets.kinds import MULTI
from kickbert.targets.multilabel import from_columns, label_lists
from kickbert.training.loggers import bar
from kickbert.utils.extras import require

WIDTH = 100  # characters of a text in a table
PERMUTATIONS = 64
WORD = re.compile(r"[^\W\d_]{2,}(?:['’][^\W\d_]+)?")


def missing(df: pd.DataFrame) -> pd.DataFrame:
    """Missing cells by column, where there are any."""
    counts = df.isna().sum()
    out = pd.DataFrame({"column": counts.index.astype(str), "missing": counts.to_numpy()})
    return out.assign(share=out["missing"] / max(1, len(df)))[out["missing"] > 0].reset_index(drop=True)


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def duplicates(df: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """Rows whose text stands in an earlier row too, capitals and white space aside."""
    folded = pd.Series([_folded(t) for t in texts])
    first = folded.groupby(folded).transform(lambda same: same.index[0]).to_numpy()
    again = np.flatnonzero((first != np.arange(len(texts))) & (folded != "").to_numpy())
    shown = [shorten(texts[i], WIDTH) for i in again]
    return pd.DataFrame({"row": df.index[again], "same as row": df.index[first[again]], "text": shown})


def _shingles(text: str) -> set[bytes]:
    return {text[i : i + 5].encode() for i in range(max(1, len(text) - 4))}


def near_duplicates(texts: Sequence[str], similar: float = 0.8) -> list[list[int]]:
    """Groups of different texts that share most of their character five-grams.

    Candidates by MinHash and locality-sensitive hashing (Broder 1997; datasketch), each then measured.

    Args:
        similar: Jaccard similarity, 0 to 1.
    Returns:
        Row numbers of each group, the group's first row first.
    """
    require("datasketch", extra="report")
    from datasketch import MinHash, MinHashLSH

    first = {}
    for i, text in enumerate(texts):
        if folded := _folded(text):
            first.setdefault(folded, i)
    places, unique = list(first.values()), list(first)
    index, parent = MinHashLSH(threshold=similar, num_perm=PERMUTATIONS), list(range(len(unique)))
    for i in bar(range(len(unique)), "looking for near duplicates"):
        own, sketch = _shingles(unique[i]), MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch(list(own))
        for j in index.query(sketch):
            if _root(parent, i) == _root(parent, j):
                continue
            other = _shingles(unique[j])  # made again: to keep those of all texts takes a hundred times their length
            if len(own & other) >= similar * len(own | other):
                parent[_root(parent, i)] = _root(parent, j)
        index.insert(i, sketch)
    groups: dict[int, list[int]] = {}
    for i in range(len(unique)):
        groups.setdefault(_root(parent, i), []).append(places[i])
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def shown_groups(df: pd.DataFrame, texts: Sequence[str], groups: list[list[int]]) -> pd.DataFrame:
    """The groups as a table: group, row, text."""
    rows = [(g, df.index[i], shorten(texts[i], WIDTH)) for g, group in enumerate(groups, start=1) for i in group]
    return pd.DataFrame(rows, columns=["group", "row", "text"])


def leaks(df: pd.DataFrame, texts: Sequence[str], groups: list[list[int]], test: pd.Series) -> pd.DataFrame:
    """Test rows that stand in training too, word for word or nearly."""
    held = test.to_numpy()
    known: dict[str, int] = {}
    for i in np.flatnonzero(~held):
        known.setdefault(_folded(texts[i]), i)
    found = {i: (known[_folded(texts[i])], "the same") for i in np.flatnonzero(held) if _folded(texts[i]) in known}
    for group in groups:
        outside = [i for i in group if not held[i]]
        for i in group:
            if held[i] and outside and i not in found:
                found[i] = (outside[0], "nearly the same")
    rows = [
        (df.index[i], df.index[j], how, shorten(texts[i], WIDTH)) for i, (j, how) in sorted(found.items()) if texts[i]
    ]
    return pd.DataFrame(rows, columns=["test row", "training row", "how", "text"])


def truncated(lengths: np.ndarray, at: Sequence[int]) -> pd.DataFrame:
    """For each `max_length` the share of rows that it would cut; and the median length."""
    return pd.DataFrame(
        {"max_length": at, "share cut": [float((lengths > n).mean()) for n in at], "median": int(np.median(lengths))}
    )


def language_of(texts: Sequence[str]) -> list[str]:
    """The language of each text as its ISO 639-1 code, by py3langid; empty for a text without letters."""
    require("py3langid", extra="report")
    from py3langid import classify

    return [classify(text)[0] if text.strip() else "" for text in bar(texts, "telling languages")]


def languages(texts: Sequence[str]) -> pd.DataFrame:
    """How many texts are in which language."""
    counts = Counter(found for found in language_of(texts) if found)
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


def telling_words(texts: Sequence[str], names: list[list[str]], top: int = 8) -> pd.DataFrame:
    """The words that set each class apart: log-odds with an informative prior (Monroe, Colaresi and Quinn 2008, 3.5).

    Args:
        top: words a class.
    Returns:
        class, words: from the most telling on.
    """
    documents = [Counter({w.lower(): 1 for w in WORD.findall(text)}) for text in texts]
    whole = sum_counts(documents)
    vocabulary = [w for w, n in whole.items() if n > 4]
    total = np.array([whole[w] for w in vocabulary], dtype=float)
    rows = []
    for name in sorted({n for row in names for n in row}):
        inside = sum_counts([d for d, row in zip(documents, names, strict=True) if name in row])
        z = _log_odds(np.array([inside[w] for w in vocabulary], dtype=float), total)
        best = [vocabulary[i] for i in np.argsort(-z)[:top] if z[i] > 1.96]
        rows.append((name, ", ".join(best)))
    return pd.DataFrame(rows, columns=["class", "words"])


def sum_counts(documents: Sequence[Counter]) -> Counter:
    """All counts together."""
    out: Counter = Counter()
    for document in documents:
        out.update(document)
    return out


def _log_odds(inside: np.ndarray, total: np.ndarray, weight: float = 500.0) -> np.ndarray:
    """z-scores of the difference in log-odds between a class and the others; the prior is `weight` words of all."""
    outside, prior = total - inside, weight * total / max(1.0, total.sum())
    a, b = inside + prior, outside + prior
    odds = np.log(a / (a.sum() - a)) - np.log(b / (b.sum() - b))
    return odds / np.sqrt(1 / a + 1 / b)


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
    model = make_pipeline(word_counts(len(rows)), LogisticRegression(C=10, max_iter=1000))
    probs = cross_val_predict(model, [texts[i] for i in rows], codes, cv=5, method="predict_proba")
    worst = find_label_issues(codes, probs, return_indices_ranked_by="self_confidence", n_jobs=1)
    told = [
        (index[rows[i]], names[codes[i]], names[probs[i].argmax()], probs[i, codes[i]], shorten(texts[rows[i]], WIDTH))
        for i in worst
    ]
    return pd.DataFrame(told, columns=columns)
