"""A number."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from kickbert.targets.base import PREDICTED, Column, Target, Thresholds
from kickbert.targets.binning import quantiles, read_number_column, read_numbers
from kickbert.targets.options import TargetOptions


@dataclass(frozen=True)
class Continuous(Target):
    """A number, in the unit of the column for users and standardized for the model.

    Args:
        name: the column's name.
        mean: the mean of the training values, after the logarithm if there is one.
        std: their standard deviation.
        log: whether the model learns log(1 + x); then predicted numbers are never negative, and negative numbers in the
            data count as zero.
        decimal: the decimal mark of numbers kept as text; None if there were none in training.
    """

    name: str
    mean: float
    std: float
    log: bool = False
    decimal: str | None = None

    task: ClassVar[str] = "regression"
    shown_scores: ClassVar[tuple[str, ...]] = ("R2", "mean absolute error", "root mean squared error")
    is_number: ClassVar[bool] = True
    codes_dtype: ClassVar[type[np.generic]] = np.float32
    problem_type: ClassVar[str] = "regression"
    json_fields: ClassVar[dict[str, Any]] = {"name": str, "mean": (int, float), "std": (int, float)}

    @property
    def names(self) -> list[str]:
        """One output."""
        return [self.name]

    @classmethod
    def read(cls, values: Column, options: TargetOptions) -> tuple[Column, TargetOptions]:
        return read_number_column(values, options)

    @classmethod
    def fit(cls, values: Column, options: TargetOptions) -> Self:
        numbers = values.to_numpy()
        if len(np.unique(numbers)) < 2:
            raise ValueError(f"column {values.name!r} holds only one number, {numbers[0]:g}; there is nothing to learn")
        # Sums of money, counts, and times: a few are a thousand times the others and would dominate the loss.
        log = bool(numbers.min() >= 0 and pd.Series(numbers).skew() > 2)
        scale = np.log1p(numbers) if log else numbers
        return cls(str(values.name), float(scale.mean()), float(scale.std()), log, options.decimal)

    @classmethod
    def strata(cls, values: Column) -> np.ndarray:
        return quantiles(values.to_numpy())

    @classmethod
    def activate(cls, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        return outputs

    @classmethod
    def logits(cls, probs: np.ndarray) -> np.ndarray:
        return probs

    def standardize(self, numbers: np.ndarray) -> np.ndarray:
        """Convert numbers in the unit of the column to what the model learns, float32."""
        scaled = np.log1p(np.maximum(numbers, 0)) if self.log else numbers
        return ((scaled - self.mean) / self.std).astype(np.float32)

    def inverse_transform(self, numbers: np.ndarray) -> np.ndarray:
        """Convert the model's outputs to the unit of the column."""
        numbers = numbers * self.std + self.mean
        return np.maximum(np.expm1(numbers), 0) if self.log else numbers

    def encode(self, values: Column) -> np.ndarray:
        """Standardized numbers, float32, shape (n,)."""
        return self.standardize(read_numbers(values, self.decimal))

    def shown(self, code: Any) -> Any:
        return float(self.inverse_transform(np.asarray(code, dtype=float)))

    @classmethod
    def decide(cls, probs: np.ndarray, thresh: Thresholds = 0.5) -> np.ndarray:
        """The numbers themselves."""
        return probs

    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Predictions: the number, in the unit of the column."""
        return pd.DataFrame({PREDICTED: self.inverse_transform(probs.reshape(-1).astype(float))}, index=index)

    def records(self, probs: np.ndarray, codes: np.ndarray) -> list[dict[str, Any]]:
        return [{"value": float(v)} for v in self.inverse_transform(probs.reshape(-1).astype(float))]

    def constant(self, codes: np.ndarray) -> np.ndarray:
        """The median."""
        return np.array([np.median(codes)])

    def row_errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """The absolute error, in the unit of the column."""
        true, predicted = (self.inverse_transform(codes.reshape(-1).astype(float)) for codes in (y_true, y_pred))
        return np.abs(true - predicted)

    def row_scores(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """One minus the squared error of the standardized numbers: its mean is R²."""
        return 1 - np.square(y_pred.reshape(-1) - y_true.reshape(-1))

    def describe(self) -> str:
        return f"{self.task}: {self.name!r}" + (" on a logarithmic scale" if self.log else "")
