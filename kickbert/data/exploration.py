"""What is in a DataFrame of texts, before anybody trains on it: tables, figures, and a page of both.

df → `explore` → `Exploration` → `.to_frame()`, `.figures()`, `.to_html()`
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kickbert.data.exploration_report import figures, write
from kickbert.data.profiling import class_counts, label_names, languages, missing, suspicious_labels, truncated
from kickbert.data.splits import TEST
from kickbert.data.transforms import TextTokenizer
from kickbert.targets.fitting import guess_task
from kickbert.targets.kinds import MULTI, SINGLE
from kickbert.text.columns import as_list, check_column, check_frame, pick, read_texts
from kickbert.text.duplicates import duplicates, leaks, near_duplicates, shown_groups
from kickbert.text.word_statistics import distinctive_words

LENGTHS = (32, 64, 128, 256, 512)
SAMPLE = 5_000  # rows whose language is told, and that are searched for suspicious labels


@dataclass
class Exploration:
    """What was found. `tables` holds a DataFrame for each question; a table that does not apply is not there.

    Args:
        summary: a row per fact.
        tables: missing, duplicates, near duplicates, leaks, classes, lengths, distinctive words, languages, suspicious
            labels.
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
        """A row per fact: what, how much, and what to do about it."""
        return self.summary

    def figures(self) -> dict[str, Any]:
        """matplotlib figures of what is best seen, by title."""
        return figures(self.tables, self.lengths)

    def to_html(self, file: str | Path) -> Path:
        """Write one page with all tables and figures, which needs no network; gives the file."""
        return write(Path(file), self.summary, self.tables, self.lengths)


def explore(
    df: pd.DataFrame,
    *,
    text_col: str | Sequence[str] = "text",
    label_col: str | Sequence[str] | None = "label",
    label_delim: str | None = None,
    split_col: str | None = None,
    model: str | Path = "minilm",
    similar: float = 0.8,
    seed: int = 0,
) -> Exploration:
    """Look at a DataFrame of texts as somebody should before training.

    Args:
        df: the rows; never changed.
        text_col, label_col, label_delim: as in `learner_from_df`; label_col may be None, or "label" and not there.
        split_col: a column of train, valid and test; rows of test that stand in training are then told. By default
            "split" where there is one.
        model: whose tokenizer counts the tokens.
        similar: Jaccard similarity of character five-grams from which two rows are near duplicates.
        seed: of the samples that are drawn of many rows.
    """
    columns = as_list(text_col)
    check_frame(df, text_col=columns)
    label_col = _present(df, label_col, "label", "label_col")
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
        tables |= _labels(df, texts, label_col, label_delim, sample)
    plain = {name: table for name, table in tables.items() if len(table)}
    return Exploration(_summary(df, empty, tables), plain, lengths)


def _present(df: pd.DataFrame, column: Any, default: str, argument: str) -> Any:
    if column == default and default not in df.columns:
        return None
    for name in as_list(column) if column else []:
        check_column(df, name, argument)
    return column


def _labels(
    df: pd.DataFrame, texts: list[str], label_col: Any, delim: str | None, sample: np.ndarray
) -> dict[str, pd.DataFrame]:
    values = pick(df, label_col)
    task = guess_task(values.dropna(), delim=delim)
    names = label_names(values, task, delim)
    tables = {"classes": class_counts(names)}
    if task in (SINGLE, MULTI):
        tables["distinctive words"] = distinctive_words(texts, names)
    if task == SINGLE:
        tables["suspicious labels"] = suspicious_labels(
            df.index[sample], [texts[i] for i in sample], values.iloc[sample]
        )
    return tables


def _summary(df: pd.DataFrame, empty: np.ndarray, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    def count(name: str) -> int:
        return len(tables.get(name, ()))

    rows = [("rows", len(df), ""), ("columns", df.shape[1], "")]
    rows.append(("rows without text", int(empty.sum()), "they are not used" if empty.any() else ""))
    rows.append(("exact duplicates", count("duplicates"), "drop them" if count("duplicates") else ""))
    near = tables["near duplicates"]
    told = "keep each group on one side of a split" if len(near) else ""
    rows.append(("groups of near duplicates", near["group"].nunique() if len(near) else 0, told))
    if "leaks" in tables:
        told = "the test set flatters the model: drop them from training" if count("leaks") else ""
        rows.append(("test rows that stand in training", count("leaks"), told))
    lengths = tables["lengths"]
    fits = lengths.loc[lengths["share truncated"] <= 0.05, "max_length"]
    enough = f"max_length={fits.iloc[0]} cuts at most 5 %" if len(fits) else 'long="windows" reads all of them'
    rows.append(("median tokens", int(lengths["median"].iloc[0]), enough))
    if len(tables.get("languages", ())):
        rows.append(("languages", len(tables["languages"]), ", ".join(tables["languages"]["language"].head(3))))
    if "classes" in tables:
        classes = tables["classes"]
        uneven = classes["rows"].max() > 5 * classes["rows"].min()
        rows.append(("classes", len(classes), 'uneven: class_weights="balanced"' if uneven else ""))
    if "suspicious labels" in tables:
        rows.append(
            ("suspicious labels", count("suspicious labels"), "read them" if count("suspicious labels") else "")
        )
    return pd.DataFrame(rows, columns=["statistic", "value", "recommendation"])
