"""Options for reading a target column."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kickbert.utils.cells import SEVERAL

if TYPE_CHECKING:
    from kickbert.targets.base import Target


Format = str | Callable[[float], str] | None


@dataclass(frozen=True)
class TargetOptions:
    """Options for reading and fitting the target; the arguments of `learner_from_df` with the same names.

    Args:
        label_col: the column, or several columns of zeros and ones, one for each label.
        bins: for a number: the number of quantile buckets, or their inner edges.
        bin_format: format of bucket edges, as in `range_names`.
        label_delim: the delimiter between the labels of a cell.
        task: the name of a kind of target; None to guess it from the column.
        labels: the classes in order, or names for the positions of a multi-hot list or for buckets; None to take them
            from the column.
        decimal: the decimal mark of numbers kept as text, "." or ","; None if every cell shows it.
        target: a target that is already known, from an artifact or for all folds.
    """

    label_col: str | Sequence[str] = "label"
    bins: int | Sequence[float] | None = None
    bin_format: Format = None
    label_delim: str | None = None
    task: str | None = None
    labels: Sequence[Any] | None = None
    decimal: str | None = None
    target: "Target | None" = None

    def __post_init__(self) -> None:
        if isinstance(self.label_col, SEVERAL) and len(self.label_col) == 1:
            object.__setattr__(self, "label_col", next(iter(self.label_col)))  # a list of one column is that column

    @property
    def delim(self) -> str | None:
        """The delimiter between the labels of a cell."""
        return self.label_delim if self.target is None else getattr(self.target, "delim", None)
