"""Exploratory data analysis of a DataFrame of texts before training: tables, figures, and an HTML page.

df → `explore` → `Exploration` → `.to_frame()`, `.figures()`, `.to_html()`
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kickbert.data.exploration_report import figures, write
from kickbert.data.findings import findings, uneven
from kickbert.data.profiling import (
    DOUBT,
    class_counts,
    label_names,
    languages,
    missing,
    suspicious_labels,
    truncated,
)
from kickbert.data.splits import TEST
from kickbert.data.tables.annotations import check_no_export
from kickbert.data.transforms import TextTokenizer
from kickbert.targets.fitting import guess_kind
from kickbert.targets.label_cells import labeled_rows
from kickbert.text.columns import as_list, check_column, check_frame, check_not_in_texts, pick, read_texts
from kickbert.text.duplicates import duplicates, leaks, near_duplicates, shown_groups
from kickbert.text.text_columns import find_text_columns
from kickbert.text.word_statistics import distinctive_words

LENGTHS = (32, 64, 128, 256, 512)
SAMPLE = 5_000  # rows for language detection and suspicious labels


@dataclass
class Exploration:
    """Tables about a DataFrame of texts; tables that do not apply are missing.

    Args:
        summary: statistic, value, recommendation.
        tables: tables by name: missing, duplicates, near duplicates, leaks, classes, lengths, distinctive words,
            languages, suspicious labels.
        lengths: tokens of each row, shape (n,).
    """

    summary: pd.DataFrame
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    lengths: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))

    def __repr__(self) -> str:
        return self.summary.to_string(index=False)

    def _repr_html_(self) -> str:
        return self.summary.to_html(index=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the summary: statistic, value, recommendation."""
        return self.summary

    def figures(self) -> dict[str, Any]:
        """Draw matplotlib figures of the classes, lengths and languages, by table name."""
        return figures(self.tables, self.lengths)

    @property
    def findings(self) -> list[str]:
        """The three most useful sentences, what needs action first."""
        return findings(self.summary, self.tables)

    def to_html(self, file: str | Path, *, source: str | None = None) -> Path:
        """Write all tables and figures to one self-contained HTML page.

        Args:
            file: the HTML file.
            source: name of the table for the top of the page, such as a file name.
        Returns:
            The file.
        """
        return write(Path(file).expanduser(), self.summary, self.tables, self.lengths, source)


def explore(
    df: pd.DataFrame,
    *,
    text_col: str | Sequence[str] = "text",
    label_col: str | Sequence[str] | None = "label",
    label_delim: str | None = None,
    split_col: str | None = None,
    model: str | Path | None = None,
    similar: float = 0.8,
    suspicious_below: float = DOUBT,
    seed: int = 0,
) -> Exploration:
    """Explore a DataFrame of texts before training: duplicates, leaks, lengths, classes, words, suspicious labels.

    Args:
        df: the rows; not changed.
        text_col, label_col, label_delim: as in `learner_from_df`; label_col may be None, and a missing column
            "label" is ignored.
        split_col: a column with train, valid and test, used to find test rows that are also in the training set;
            "split" by default if it exists.
        model: the model whose tokenizer counts the tokens; None for the default encoder.
        similar: minimum Jaccard similarity of character five-grams for near duplicates.
        suspicious_below: a label is suspicious if its probability is below this fraction of a uniform guess. With the
            default, most of these labels are wrong; a higher value lists more.
        seed: random seed of the samples that are drawn if there are many rows.
    Returns:
        A summary with recommendations, and methods for tables, figures and a page.
    Raises:
        TypeError, ValueError: not a DataFrame, an unknown column, or an invalid fraction.
    """
    if not 0 <= suspicious_below <= 1:
        raise ValueError(f"suspicious_below={suspicious_below!r} must be from 0 to 1 (a fraction of a uniform guess)")
    check_no_export(df)
    columns = find_text_columns(df, text_col, as_list(label_col) if label_col else ())
    check_frame(df, text_col=columns)
    label_col = _present(df, label_col, "label", "label_col")
    check_not_in_texts(columns, as_list(label_col) if label_col else [])
    split_col = _present(df, split_col or "split", "split", "split_col")
    texts, empty = read_texts(df, columns)
    tables = {"missing": missing(df)}
    groups = near_duplicates(texts, similar)
    tables |= {"duplicates": duplicates(df, texts), "near duplicates": shown_groups(df, texts, groups)}
    if split_col:
        tables["leaks"] = leaks(texts, (df[split_col].astype(str) == TEST).to_numpy(), df.index, groups)
    lengths = TextTokenizer(model).token_encoder.count(texts)
    tables["lengths"] = truncated(lengths, LENGTHS)
    sample = np.sort(np.random.default_rng(seed).permutation(len(df))[:SAMPLE])
    tables["languages"] = languages([texts[i] for i in sample])
    if label_col:
        tables |= _label_tables(df, texts, label_col, label_delim, sample, suspicious_below)
    filled = {name: table for name, table in tables.items() if len(table)}
    return Exploration(_summary(df, empty, tables), filled, lengths)


def _present(df: pd.DataFrame, column: Any, default: str, argument: str) -> Any:
    """Check that the column or columns exist; return None if the default column does not exist."""
    if column == default and default not in df.columns:
        return None
    for name in as_list(column) if column else []:
        check_column(df, name, argument)
    return column


def _label_tables(
    df: pd.DataFrame, texts: list[str], label_col: Any, delim: str | None, sample: np.ndarray, below: float
) -> dict[str, pd.DataFrame]:
    """Class distribution, distinctive words and suspicious labels; no tables for numeric targets."""
    values = pick(df, label_col)
    kind = guess_kind(values[labeled_rows(values)], delim=delim)
    if kind.is_number:
        return {}
    names = label_names(values, kind, delim)
    tables = {"classes": class_counts(names)}
    if not kind.is_ordered:
        tables["distinctive words"] = distinctive_words(texts, names)
    if not kind.is_ordered and not kind.is_multilabel:
        sampled = [texts[i] for i in sample]
        tables["suspicious labels"] = suspicious_labels(df.index[sample], sampled, values.iloc[sample], below)
    return tables


def _summary(df: pd.DataFrame, empty: np.ndarray, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per statistic, with a recommendation if one is needed."""
    near, lengths = tables["near duplicates"], tables["lengths"]
    rows = [
        ("rows", len(df), ""),
        ("columns", df.shape[1], ""),
        ("rows without text", int(empty.sum()), "they are skipped"),
        ("exact duplicates", len(tables["duplicates"]), "drop them"),
        ("groups of near duplicates", near["group"].nunique(), "keep each group in the same split"),
    ]
    if "leaks" in tables:
        advice = "test scores will look too good; remove these rows from training"
        rows.append(("test rows also in the training set", len(tables["leaks"]), advice))
    fits = lengths.loc[lengths["share truncated"] <= 0.05, "max_length"]
    enough = f"max_length={fits.iloc[0]} truncates at most 5%" if len(fits) else 'long="windows" reads the whole text'
    rows.append(("median tokens", int(lengths["median"].iloc[0]), enough))
    if len(tables["languages"]):
        rows.append(("languages", len(tables["languages"]), ", ".join(tables["languages"]["language"].head(3))))
    if "classes" in tables:
        counts = tables["classes"]["rows"]
        advice = "uneven: balanced class weights may help if rare classes matter"
        rows.append(("classes", len(counts), advice if uneven(counts) else ""))
    if "suspicious labels" in tables:
        rows.append(("suspicious labels", len(tables["suspicious labels"]), "read them"))
    rows = [(statistic, value, recommendation if value else "") for statistic, value, recommendation in rows]
    return pd.DataFrame(rows, columns=["statistic", "value", "recommendation"])
