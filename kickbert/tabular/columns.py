"""The columns that a model reads beside the text: categories, numbers and dates, and how each becomes numbers.

A column is fitted to training rows, kept as JSON, and reads the same cells in the same way from then on.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
import pandas as pd

from kickbert.tabular.dates import date_format, date_parts, read_dates
from kickbert.targets.binning import decimal_mark, read_number
from kickbert.targets.label_numbers import written
from kickbert.text.columns import as_list
from kickbert.utils.cells import is_blank
from kickbert.utils.messages import plural

AUTO = "auto"  # instead of names: all columns of a kind
MOST = 2_000  # maximum number of categories
DISTINCT = 0.9  # a column with so many different values per row names the rows
FEW = 20  # rows; with fewer, the share says nothing
LARGEST = 1e300  # larger numbers are missing

Names: TypeAlias = str | Sequence[str] | None


class ColumnNames(NamedTuple):
    """The columns to read beside the text; "auto" for all of a kind.

    Args:
        cat_names: columns of categories.
        cont_names: columns of numbers.
        date_names: columns of dates.
    """

    cat_names: Names = None
    cont_names: Names = None
    date_names: Names = None

    @property
    def by_argument(self) -> dict[str, list[str]]:
        """The names by argument, without "auto"."""
        return {
            argument: [] if names is None or is_auto(names) else as_list(names)
            for argument, names in self._asdict().items()
        }

    @property
    def auto(self) -> tuple[bool, bool, bool]:
        """For each kind, whether all columns of it are read."""
        cat, cont, date = map(is_auto, self)
        return cat, cont, date

    def __bool__(self) -> bool:
        return any(self.auto) or any(self.by_argument.values())


TEXT_ALONE = ColumnNames()


def is_auto(names: Names) -> bool:
    """Whether all columns of a kind are wanted."""
    return isinstance(names, str) and names == AUTO


@dataclass(frozen=True)
class Category:
    """A column of categories. A missing cell is a category too, and one that training never saw counts as missing.

    Args:
        name: name of the column.
        values: the categories, the most frequent first.
    """

    name: str
    values: tuple[str, ...]

    kind: ClassVar[str] = "category"

    @classmethod
    def fit(cls, cells: pd.Series, decimal: str | None = None) -> Self:
        """Collect the categories of training rows.

        Raises:
            ValueError: there are too many of them.
        """
        counts = Counter(name for name in category_names(cells) if name is not None)
        rows = sum(counts.values())
        if len(counts) > MOST or (rows >= FEW and len(counts) > DISTINCT * rows):
            raise ValueError(
                f"column {cells.name!r} has {len(counts):,} different values in {plural(rows, 'row')}, so it names "
                f"rows instead of categories (at most {MOST:,}, and fewer than {DISTINCT:.0%} of the rows). Leave it "
                "out, group its values, or read it as text: text_col="
            )
        return cls(str(cells.name), tuple(name for name, _ in counts.most_common()))

    def read(self, cells: pd.Series) -> np.ndarray:
        """Number the categories: 0 for a missing or unknown one, then 1 for the first; float64, shape (n, 1)."""
        number: dict[str | None, int] = {name: i for i, name in enumerate(self.values, 1)}
        numbers = [number.get(name, 0) for name in category_names(cells)]
        return np.array(numbers, dtype=np.float64).reshape(-1, 1)

    def describe(self) -> str:
        """Describe the column in a few words."""
        return f"{self.name} ({plural(len(self.values), 'category', 'categories')})"


@dataclass(frozen=True)
class Number:
    """A column of numbers; missing, infinite and unreadable cells are missing.

    Args:
        name: name of the column.
        decimal: decimal mark of numbers kept as text; None if there were none in training.
    """

    name: str
    decimal: str | None = None

    kind: ClassVar[str] = "number"

    @classmethod
    def fit(cls, cells: pd.Series, decimal: str | None = None) -> Self:
        """Find out how the numbers are written.

        Raises:
            ValueError: most cells are no numbers, or text can be read in two ways.
        """
        known = cells[known_cells(cells)]
        column = cls(str(cells.name), decimal_mark(known, decimal))
        bad = (~np.isfinite(read_cells(known, column.decimal))).sum()
        if bad > len(known) / 2:
            raise ValueError(
                f"{bad:,} of {len(known):,} cells of column {cells.name!r} are not numbers, such as "
                f"{str(known.iloc[0])!r}. If they are categories or dates, use cat_names= or date_names="
            )
        return column

    def read(self, cells: pd.Series) -> np.ndarray:
        """Read the numbers, float64, shape (n, 1); NaN for a missing one."""
        known = known_cells(cells)
        numbers = np.full(len(cells), np.nan)
        numbers[known] = read_cells(cells[known], self.decimal)
        numbers[~(np.abs(numbers) < LARGEST)] = np.nan
        _warn_of_unreadable(cells, known & np.isnan(numbers), "a finite number")
        return numbers.reshape(-1, 1)

    def describe(self) -> str:
        """Describe the column in a few words."""
        return f"{self.name} (number)"


@dataclass(frozen=True)
class Date:
    """A column of dates, which become the numbers of `dates.PARTS`.

    Args:
        name: name of the column.
        form: how they are written, from `date_format`.
    """

    name: str
    form: str

    kind: ClassVar[str] = "date"

    @classmethod
    def fit(cls, cells: pd.Series, decimal: str | None = None) -> Self:
        """Find out how the dates are written.

        Raises:
            ValueError: no format reads most cells.
        """
        known = cells[known_cells(cells)]
        form = date_format(known) if len(known) else ""
        if form is None:
            raise ValueError(
                f"cells of column {cells.name!r} are not dates in one format, such as {str(known.iloc[0])!r}. Convert "
                f"them: pd.to_datetime(df[{cells.name!r}]), or use cat_names= or cont_names="
            )
        return cls(str(cells.name), form)

    def read(self, cells: pd.Series) -> np.ndarray:
        """Read the parts of the dates, float64, shape (n, parts); NaN for a missing date."""
        known = known_cells(cells)
        dates = read_dates(cells.where(known) if not known.all() else cells, self.form)
        _warn_of_unreadable(cells, known & dates.isna().to_numpy(), f"a date like the others ({self.form or 'dates'})")
        return date_parts(dates)

    def parses(self, cells: pd.Series) -> float:
        """Return the share of cells that are dates in this format."""
        return float(read_dates(cells, self.form).notna().mean())

    def describe(self) -> str:
        """Describe the column in a few words."""
        return f"{self.name} (date)"


Column: TypeAlias = Category | Number | Date
KINDS: dict[str, type[Column]] = {kind.kind: kind for kind in (Category, Number, Date)}


def distinct(columns: Iterable[Column]) -> list[Column]:
    """List columns that several models read, each once by its name."""
    return list({column.name: column for column in columns}.values())


def to_dict(column: Column) -> dict[str, Any]:
    """Convert a column to JSON types."""
    return {"kind": column.kind, **asdict(column)}


def from_dict(content: dict[str, Any]) -> Column:
    """Restore a column from the result of `to_dict`."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    kind: Any = KINDS[content["kind"]]
    del fields["kind"]
    column: Column = kind(**fields)
    return column


def known_cells(cells: pd.Series) -> np.ndarray:
    """Find the cells that hold something, bool, shape (n,)."""
    return np.array([not (isinstance(c, str) and is_blank(c)) for c in cells], dtype=bool) & cells.notna().to_numpy()


def category_names(cells: pd.Series) -> list[str | None]:
    """Write the categories of cells as text; None for a missing one. 1, 1.0 and "1" are the same category.

    >>> category_names(pd.Series(["a ", 1.0, None, ""], dtype=object))
    ['a', '1', None, None]
    """
    texts = [str(cell).strip() if known else None for cell, known in zip(cells, known_cells(cells), strict=True)]
    names = {text: None if text is None else written(text) for text in set(texts)}
    return [names[text] for text in texts]


def read_cells(cells: pd.Series, decimal: str | None) -> np.ndarray:
    """Read numbers, also those kept as text, float64, shape (n,); NaN for a cell that is not a number."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy(dtype=float, na_value=np.nan)
    return np.array([read_number(cell, decimal or ".") for cell in cells], dtype=float)


def _warn_of_unreadable(cells: pd.Series, bad: np.ndarray, what: str) -> None:
    if bad.any():
        verb = "is" if bad.sum() == 1 else "are"
        warnings.warn(
            f"{plural(int(bad.sum()), 'cell')} of column {cells.name!r} {verb} not {what}, such as "
            f"{str(cells[bad].iloc[0])!r}: read as missing",
            stacklevel=4,
        )
