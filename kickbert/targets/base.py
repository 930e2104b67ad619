"""The interface of all kinds of target: cells → codes → predictions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from kickbert.targets.options import TargetOptions

Column: TypeAlias = pd.Series | pd.DataFrame
Thresholds: TypeAlias = float | np.ndarray
T = TypeVar("T")
PREDICTED = "predicted_label"  # the first column of `Target.frame`, for every kind


class Target(ABC):
    """A prediction target. A new kind of target is a subclass: a frozen dataclass that defines the methods below.

    Attributes:
        task: name of the kind in user code.
        shown_scores: the scores that matter, the main one first; for that one, larger is better.
        is_number: whether a number is predicted, not classes.
        is_multilabel: whether a row has any number of labels.
        is_ordered: whether the classes have an order.
        codes_dtype: the type of codes.
        problem_type: Hugging Face's name of the kind.
        phrase: how a sentence introduces the classes.
        json_fields: the types of the fields that JSON must hold.
    """

    task: ClassVar[str]
    shown_scores: ClassVar[tuple[str, ...]]
    is_number: ClassVar[bool] = False
    is_multilabel: ClassVar[bool] = False
    is_ordered: ClassVar[bool] = False
    codes_dtype: ClassVar[type[np.generic]] = np.int64
    problem_type: ClassVar[str] = "single_label_classification"
    phrase: ClassVar[str] = "one of"
    json_fields: ClassVar[dict[str, Any]] = {}
    kinds: ClassVar[dict[str, type["Target"]]] = {}  # by class name, as JSON holds it

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Target.kinds[cls.__name__] = cls

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Display names of the outputs."""

    @classmethod
    def read(cls, values: Column, options: TargetOptions) -> tuple[Column, TargetOptions]:
        """Read each cell of the column once.

        Returns:
            The cells as `fit`, `strata` and `encode` use them, and the options completed from the column.
        """
        return values, options

    @classmethod
    @abstractmethod
    def fit(cls, values: Column, options: TargetOptions) -> Self:
        """Fit the target to the training rows, as `read` returns them."""

    @classmethod
    @abstractmethod
    def strata(cls, values: Column) -> np.ndarray:
        """The stratum of each row, shape (n,); or zeros and ones, shape (n, labels)."""

    @classmethod
    @abstractmethod
    def activate(cls, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Turn the model's outputs into probabilities, or numbers; the same shape."""

    @classmethod
    @abstractmethod
    def logits(cls, probs: np.ndarray) -> np.ndarray:
        """Turn probabilities, or numbers, back into outputs that `activate` turns into them; the same shape."""

    @classmethod
    def shift(cls, probs: np.ndarray, offsets: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Add offsets to the outputs behind probabilities, or to numbers; the same shape and type.

        Args:
            probs: what `activate` returned for the outputs without offsets.
            offsets: shape (n, outputs).
            temperature: the divisor of the outputs.
        """
        shifted = cls.logits(probs.astype(float)) + offsets / temperature
        return cls.activate(shifted).astype(probs.dtype)

    @abstractmethod
    def encode(self, values: Column) -> np.ndarray:
        """Encode cells: `codes_dtype`, shape (n,) or (n, labels)."""

    def unknown(self, values: Column) -> tuple[np.ndarray, list[str]]:
        """Find rows with a label that is not in the training data (bool, shape (n,)), and those labels."""
        return np.zeros(len(values), dtype=bool), []

    @abstractmethod
    def shown(self, code: Any) -> Any:
        """Convert a code to what fastai's datasets show."""

    @classmethod
    @abstractmethod
    def decide(cls, probs: np.ndarray, thresh: Thresholds = 0.5) -> np.ndarray:
        """Decide on a code for each row of probabilities."""

    @abstractmethod
    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Convert predictions to a DataFrame: `predicted_label`, then the columns of the kind.

        Args:
            probs: what `activate` returns, shape (n, outputs).
            codes: what `decide` returns.
            index: the index of the rows.
        """

    @abstractmethod
    def records(self, probs: np.ndarray, codes: np.ndarray) -> list[dict[str, Any]]:
        """Convert predictions to JSON types: a dict per row, with `label`, `labels` or `value` first."""

    @abstractmethod
    def constant(self, codes: np.ndarray) -> np.ndarray:
        """The best constant prediction for rows with these codes: probabilities or a number, shape (outputs,)."""

    @abstractmethod
    def row_errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """The error of each row's code, 0 if it is correct, float64, shape (n,)."""

    def row_scores(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """The score of each row's code, 1 if it is correct, float64, shape (n,)."""
        return 1 - self.row_errors(y_true, y_pred)

    def describe(self) -> str:
        """Describe the target in one line."""
        return f"{self.task}: {', '.join(self.names)}"

    def to_dict(self) -> dict[str, Any]:
        """Convert the target to JSON types.

        Raises:
            ValueError: a class is not a string, number or boolean.
        """
        content = {name: _plain(value) for name, value in asdict(self).items()}  # type: ignore[call-overload]
        return {"kind": type(self).__name__, **content}


def from_dict(content: dict[str, Any]) -> Target:
    """Restore a target from the result of `Target.to_dict`."""
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in content.items() if name != "kind"}
    return Target.kinds[content["kind"]](**fields)


def for_target(table: Mapping[type[Target], T], target: Target | type[Target]) -> T:
    """Look up a target's class or its nearest base class in a table.

    Raises:
        KeyError: the table has neither.
    """
    kind = target if isinstance(target, type) else type(target)
    for base in kind.__mro__:
        if base in table:
            return table[base]
    raise KeyError(f"no entry for {kind.__name__}; add one")


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (str, int, float, type(None))):
        raise ValueError(
            f"class {value!r} is a {type(value).__name__}, which JSON cannot represent; use strings as labels"
        )
    return value


def probability_columns(probs: np.ndarray, names: list[str], index: pd.Index) -> pd.DataFrame:
    """Make a column of probabilities for each class."""
    return pd.DataFrame(probs, index=index, columns=[f"prob_{name}" for name in names])


def probability_records(probs: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """Make a dict per row with the probability of each class."""
    return [{"probabilities": dict(zip(names, row, strict=True))} for row in probs.tolist()]
