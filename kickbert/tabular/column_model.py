"""What the columns say of the target: offsets, which are added to the logits of the text.

    training rows → columns as numbers → boosted trees in folds → out-of-fold scores, scaled → offsets

The text is trained with these offsets in place, so it learns what the columns leave unexplained, as with the offset of
a generalized linear model (`base_margin` of XGBoost). Training rows get the scores of trees that did not see them:
otherwise the columns would seem better than they are, and the text would learn too little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from kickbert.tabular.boosting import Booster
from kickbert.tabular.columns import Category, Column, from_dict, to_dict
from kickbert.tabular.trees import Trees
from kickbert.targets.base import Target
from kickbert.utils.messages import nearest

REFUSE, IMPUTE = "refuse", "impute"  # what to do if a column is missing


def check_missing(missing: str) -> str:
    """Return what to do with rows that lack a column, after checking it.

    Raises:
        ValueError: an unknown value.
    """
    if missing not in (REFUSE, IMPUTE):
        raise ValueError(f"missing={missing!r} is not one of {[REFUSE, IMPUTE]}")
    return missing


@dataclass(frozen=True, eq=False)
class ColumnModel:
    """Boosted trees on the columns of a table beside its texts.

    Args:
        columns: the columns, fitted to training rows.
        boosters: one for all outputs; with several labels, one per label.
        multilabel: whether each output is a label of its own.
        scale: the factor of the scores; 0 if the columns say nothing of the target.
        missing: "refuse" rows that lack a column, or "impute" it, as if all its cells were missing.
    """

    columns: tuple[Column, ...]
    boosters: tuple[Booster, ...] = ()
    multilabel: bool = False
    scale: float = 1.0
    missing: str = REFUSE

    def with_missing(self, missing: str) -> Self:
        """Return the same model with another value of `missing`.

        Raises:
            ValueError: an unknown value.
        """
        return replace(self, missing=check_missing(missing))

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    @property
    def needed(self) -> list[str]:
        """Names of the columns that rows must have."""
        return self.names if self.missing == REFUSE else []

    def read(self, df: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Read the columns of a DataFrame.

        Returns:
            Category numbers, int64, shape (n, columns of categories), and numbers, float64, shape (n, others).
        Raises:
            ValueError: a column is missing.
        """
        self.check(df)
        nothing = pd.Series([None] * len(df), index=df.index, dtype=object)
        by_name = {str(name): df.iloc[:, i] for i, name in enumerate(df.columns)}
        cells = [by_name.get(column.name, nothing).rename(column.name) for column in self.columns]
        read = [(column, column.read(values)) for column, values in zip(self.columns, cells, strict=True)]
        categories = [values for column, values in read if isinstance(column, Category)]
        numbers = [values for column, values in read if not isinstance(column, Category)]
        first = np.zeros((len(df), 0))
        return np.concatenate([first, *categories], axis=1).astype(np.int64), np.concatenate([first, *numbers], axis=1)

    def check(self, df: pd.DataFrame) -> None:
        """Check that a DataFrame has the columns.

        Raises:
            ValueError: a column is missing, and `missing` is "refuse".
        """
        names = [str(name) for name in df.columns]
        absent = [name for name in self.needed if name not in names]
        if absent:
            given = (
                f"columns are {names}{nearest(absent[0], names)}" if names else "give a DataFrame or a list of dicts"
            )
            raise ValueError(
                f"column {absent[0]!r}, which the model reads beside the text, is missing; {given}. To predict without "
                "it, as if its cells were empty: kickbert.load(folder, missing='impute')"
            )

    def offsets(self, items: Any) -> np.ndarray:
        """Compute what the columns of rows add to the logits of their text.

        Args:
            items: a DataFrame, or a list of dicts; texts alone lack the columns.
        Returns:
            float32, shape (n, outputs).
        Raises:
            ValueError: a column is missing.
        """
        categories, numbers = self.read(as_frame(items))
        scores = [booster.scores(categories, numbers) for booster in self.boosters]
        return (self.scale * self.joined(scores)).astype(np.float32)

    def effects(self, item: Any, temperature: float = 1.0) -> "ColumnEffects":
        """Compute what the columns of a row add to its logits, and what each of them does, compared with an empty cell.

        Args:
            item: a dict with the columns.
            temperature: the divisor of the logits.
        Raises:
            ValueError: a column is missing.
        """
        row = as_frame([item])
        self.check(row)
        cells = {str(name): cell for name, cell in row.astype(object).iloc[0].items()}
        whole, *others = self.offsets([cells, *(cells | {name: None} for name in self.names)])
        effects = dict(zip(self.names, (whole - other for other in others), strict=True))
        return ColumnEffects(whole, effects, temperature)

    def joined(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """Put the log odds of several labels side by side; otherwise there is one array of scores."""
        return np.stack([s[:, 1] - s[:, 0] for s in scores], axis=1) if self.multilabel else scores[0]

    def describe(self) -> str:
        """Describe the columns in one line."""
        return ", ".join(column.describe() for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Convert everything but the arrays to JSON types."""
        boosters = [{"tables": len(b.tables), "outputs": b.outputs.tolist(), "size": b.size} for b in self.boosters]
        columns = [to_dict(column) for column in self.columns]
        return {"columns": columns, "boosters": boosters, "multilabel": self.multilabel, "scale": self.scale}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        arrays: dict[str, np.ndarray] = {}
        for i, booster in enumerate(self.boosters):
            arrays |= {f"{i}.{name}": array for name, array in booster.trees.to_arrays().items()}
            arrays |= {f"{i}.table.{j}": table for j, table in enumerate(booster.tables)}
        return arrays

    @classmethod
    def from_parts(cls, content: dict[str, Any], arrays: dict[str, np.ndarray], missing: str = REFUSE) -> Self:
        """Restore a model from the results of `to_dict` and `to_arrays`."""
        boosters = []
        for i, info in enumerate(content["boosters"]):
            tables = tuple(arrays[f"{i}.table.{j}"] for j in range(info["tables"]))
            trees = Trees(**{field.name: arrays[f"{i}.{field.name}"] for field in fields(Trees)})
            boosters.append(Booster(tables, trees, np.array(info["outputs"]), info["size"]))
        columns = tuple(map(from_dict, content["columns"]))
        return cls(columns, tuple(boosters), content["multilabel"], content["scale"], missing)


@dataclass(frozen=True, eq=False)
class ColumnEffects:
    """What the columns of a row add to the logits of its text.

    Args:
        offsets: of all columns together, float32, shape (outputs,).
        effects: of each column, compared with an empty cell, float32, shape (outputs,).
        temperature: the divisor of the logits.
    """

    offsets: np.ndarray
    effects: dict[str, np.ndarray]
    temperature: float = 1.0

    def shift(self, target: Target, probs: np.ndarray, without: str | None = None) -> np.ndarray:
        """Add the columns to the probabilities of texts, shape (n, outputs), without one of them if it is named."""
        offsets = self.offsets if without is None else self.offsets - self.effects[without]
        return target.shift(probs, offsets[None], self.temperature)


def names_beside(columns: ColumnModel | None) -> list[str]:
    """Name the columns that a model reads beside the text; none for a model of texts alone."""
    return [] if columns is None else columns.names


def as_frame(items: Any) -> pd.DataFrame:
    """Make a DataFrame of items; without columns if they are texts or tuples of texts.

    >>> as_frame([{"goal": 5}, {"goal": 7}])["goal"].tolist(), as_frame(["a text"]).shape
    ([5, 7], (1, 0))
    """
    if isinstance(items, pd.DataFrame):
        return items
    items = list(items)
    if items and all(isinstance(item, (Mapping, pd.Series)) for item in items):
        return pd.DataFrame([dict(item) for item in items])
    return pd.DataFrame(index=pd.RangeIndex(len(items)))
