"""Where a model is wrong: single rows, pairs of classes, slices, words, and labels that may be wrong themselves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm
from kickbert.targets.kinds import MULTI, SINGLE
from kickbert.text import duplicates
from kickbert.text.duplicates import near_duplicates
from kickbert.text.tokenization import SEP
from kickbert.text.word_statistics import detect_languages, distinctive_words
from kickbert.utils.extras import require
from kickbert.utils.messages import shorten

WIDTH = 160  # characters of a text in a table
LEAST = 30  # rows of a slice that is worth a sentence
VALUES = 30  # of a column, over which it is cut into quantiles or left out


def _text(found: Predictions, i: int) -> str:
    return shorten(found.texts[i].replace(SEP, " | "), WIDTH) if found.texts else ""


def _index(found: Predictions) -> pd.Index:
    return pd.RangeIndex(len(found)) if found.df is None else found.df.index


def _said(found: Predictions, codes: np.ndarray) -> list[str]:
    """Codes as text; labels of a row joined."""
    names = found.target.names
    if found.target.task == MULTI:
        return [", ".join(names[j] for j in np.flatnonzero(row)) or "none" for row in codes]
    return [names[c] for c in codes]


def confident_mistakes(found: Predictions, top: int = 20) -> pd.DataFrame:
    """Wrong answers that the model was surest of: a wrong label, a rare case, or something it has not understood."""
    wrong = np.flatnonzero(found.wrong)
    worst = wrong[np.argsort(-found.confidence[wrong], kind="stable")][:top]
    return pd.DataFrame(
        {
            "row": _index(found)[worst],
            "truth": _said(found, found.truth[worst]),
            "said": _said(found, found.decided[worst]),
            "confidence": found.confidence[worst],
            "text": [_text(found, i) for i in worst],
        }
    )


def confused_pairs(found: Predictions, top: int = 20) -> pd.DataFrame:
    """Which class is taken for which: rows, and their share of the true class."""
    if found.target.task == MULTI:
        return pd.DataFrame(columns=["truth", "said", "rows", "share of truth"])
    names, totals = found.target.names, np.bincount(found.truth, minlength=len(found.target.names))
    wrong = found.wrong
    pairs, counts = np.unique(np.stack([found.truth, found.decided], 1)[wrong], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:top]
    rows = [(names[t], names[s], n, n / totals[t]) for (t, s), n in zip(pairs[order], counts[order], strict=True)]
    return pd.DataFrame(rows, columns=["truth", "said", "rows", "share of truth"])


def slices(found: Predictions, columns: Sequence[str] | None = None, languages: bool = True) -> pd.DataFrame:
    """Accuracy of parts of the rows: by length, by language, by the values of columns.

    Args:
        columns: of df; None for all that have few values or are numbers, but for texts.
        languages: whether to tell them, which takes a millisecond a row.
    Returns:
        slice, rows, accuracy, others (accuracy of the other rows), p (Fisher's exact test, corrected for the number of
        slices by Holm 1979), the weakest slice first.
    """
    from scipy.stats import fisher_exact

    parts = {"words": _numbers(pd.Series([len(t.split()) for t in found.texts]))} if found.texts else {}
    if languages and found.texts:
        parts["language"] = detect_languages(found.texts)
    for column in _worth(found.df, columns):
        parts[str(column)] = _parts(found.df[column])
    right, rows = ~found.wrong, []
    for name, values in parts.items():
        for value, places in pd.Series(np.arange(len(found))).groupby(np.asarray(values, dtype=object)):
            inside = np.zeros(len(found), dtype=bool)
            inside[places] = True
            if LEAST <= inside.sum() <= len(found) - LEAST:
                table = [[right[m].sum(), (~right[m]).sum()] for m in (inside, ~inside)]
                rows.append(
                    (
                        f"{name}: {value}",
                        inside.sum(),
                        right[inside].mean(),
                        right[~inside].mean(),
                        fisher_exact(table).pvalue,
                    )
                )
    out = pd.DataFrame(rows, columns=["slice", "rows", "accuracy", "others", "p"])
    out["p"] = holm(out["p"].tolist())
    return out.sort_values(["accuracy", "slice"], ignore_index=True)


def _worth(df: pd.DataFrame | None, columns: Sequence[str] | None) -> list:
    if df is None or columns is not None:
        return list(columns or ())
    return [
        c for c in df.columns
        if df[c].map(np.isscalar).all() and (pd.api.types.is_numeric_dtype(df[c]) or df[c].nunique() <= VALUES)
    ]  # fmt: skip


def _parts(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > VALUES:
        return _numbers(values)
    return values.astype(object).where(values.notna(), "missing").to_numpy()


def _numbers(values: pd.Series) -> np.ndarray:
    """Numbers as one of five ranges of like size."""
    ranges = pd.qcut(values.astype(float), 5, duplicates="drop", precision=0)
    return np.array(
        [f"{max(i.left, values.min()):g} to {i.right:g}" if pd.notna(i) else "missing" for i in ranges], dtype=object
    )


def leaks(found: Predictions, training: Sequence[str], similar: float = 0.8) -> pd.DataFrame:
    """Judged rows whose text stands in training too, word for word or nearly: the model has seen the answer.

    Args:
        training: texts that the model was trained on.
        similar: Jaccard similarity of character five-grams from which two texts are nearly the same.
    Returns:
        row, training row (its number), how, text.
    """
    texts = [*training, *found.texts]
    held = np.arange(len(texts)) >= len(training)
    index = pd.Index([*range(len(training)), *_index(found)], dtype=object)
    table = duplicates.leaks(texts, held, index, near_duplicates(texts, similar))
    return table.assign(text=[text.replace(SEP, " | ") for text in table["text"]])


def label_errors(found: Predictions) -> pd.DataFrame:
    """Rows whose label is likely wrong: confident learning (Northcutt, Jiang and Chuang 2021), by cleanlab.

    Args:
        found: out-of-fold predictions (`cross_validate(...).predictions`): a model agrees with what it was trained on.
    Returns:
        row, label, rather, quality (0 to 1), text; the most suspicious first.
    """
    require("cleanlab", extra="report")
    names = found.target.names
    if found.target.task == MULTI:
        from cleanlab.multilabel_classification import get_label_quality_scores
        from cleanlab.multilabel_classification.filter import find_label_issues

        given = [np.flatnonzero(row).tolist() for row in found.truth]
        worst = find_label_issues(given, found.probs, return_indices_ranked_by="self_confidence")
        quality = get_label_quality_scores(given, found.probs)
        rather = found.probs >= 0.5
    elif found.target.task == SINGLE or hasattr(found.target, "classes"):
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores

        worst = find_label_issues(found.truth, found.probs, return_indices_ranked_by="self_confidence", n_jobs=1)
        quality = get_label_quality_scores(found.truth, found.probs)
        rather = found.probs.argmax(1)
    else:
        raise ValueError(f"labels of a {found.target.task} task cannot be suspected: {names}")
    return pd.DataFrame(
        {
            "row": _index(found)[worst],
            "label": _said(found, found.truth[worst]),
            "rather": _said(found, rather[worst]),
            "quality": quality[worst],
            "text": [_text(found, i) for i in worst],
        }
    )


def misleading_words(found: Predictions, top: int = 8) -> pd.DataFrame:
    """Words that stand in mistakes more than in right answers, by what was said.

    Returns:
        said, words: the words that push rows of other classes there.
    """
    said, wrong, rows = np.array(_said(found, found.decided)), found.wrong, []
    for name in sorted(set(said[wrong])):
        places = np.flatnonzero(said == name)
        names = [["mistake"] if wrong[i] else ["right"] for i in places]
        table = distinctive_words([found.texts[i] for i in places], names, top).set_index("class")["words"]
        if table.get("mistake"):
            rows.append((name, table["mistake"]))
    return pd.DataFrame(rows, columns=["said", "words"])
