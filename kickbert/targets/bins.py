"""Buckets of a number, with or without their order."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from kickbert.targets.base import Column
from kickbert.targets.binning import bin_edges, quantiles, range_names, read_number_column, read_numbers
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.options import TargetOptions


@dataclass(frozen=True)
class UnorderedBins(Labels):
    """Buckets of a number that are classes without an order.

    Args:
        classes: the names of the buckets, `len(edges) + 1` of them.
        edges: inner edges, ascending; a value equal to an edge belongs to the upper bucket.
        centers: the mean of the training values in each bucket, in the unit of the column.
        decimal: the decimal mark of numbers kept as text; None if there were none in training.
    """

    edges: tuple[float, ...] = ()
    centers: tuple[float, ...] = ()
    decimal: str | None = None

    json_fields: ClassVar[dict[str, Any]] = {"classes": list, "edges": list, "centers": list}

    @classmethod
    def read(cls, values: Column, options: TargetOptions) -> tuple[Column, TargetOptions]:
        return read_number_column(values, options)

    @classmethod
    def fit(cls, values: Column, options: TargetOptions) -> Self:
        bins = options.bins
        numbers = values.to_numpy()
        if isinstance(bins, (int, np.integer)):
            edges = bin_edges(pd.Series(numbers), int(bins))
        else:
            edges = np.asarray(bins, dtype=float)
        if edges.ndim != 1 or not len(edges) or (np.diff(edges) <= 0).any() or not np.isfinite(edges).all():
            raise ValueError(f"bins={bins!r} must be a number of buckets or ascending inner edges")
        names = list(options.labels) if options.labels else range_names(edges.tolist(), options.bin_format)
        if len(names) != len(edges) + 1:
            raise ValueError(f"labels={names} name {len(names)} buckets, and bins={bins!r} make {len(edges) + 1}")
        codes = np.digitize(numbers, edges)
        counts = np.bincount(codes, minlength=len(names))
        if counts.min() < len(numbers) / len(counts) / 2:
            sizes = ", ".join(f"{name}: {n:,}" for name, n in zip(names, counts, strict=True))
            warnings.warn(f"the bins of {values.name!r} are uneven ({sizes})", stacklevel=4)
        borders = np.array([min(numbers.min(), edges[0]), *edges, max(numbers.max(), edges[-1])])
        middles = (borders[1:] + borders[:-1]) / 2  # for a bucket without training rows
        sums = np.bincount(codes, weights=numbers, minlength=len(names))
        centers = np.where(counts, sums / np.maximum(counts, 1), middles)
        return cls(tuple(names), tuple(edges.tolist()), tuple(centers.tolist()), options.decimal)

    @classmethod
    def strata(cls, values: Column) -> np.ndarray:
        return quantiles(values.to_numpy())

    def encode(self, values: Column) -> np.ndarray:
        """Bucket numbers, int64, shape (n,); values beyond the outer edges belong to the outer buckets."""
        return np.digitize(read_numbers(values, self.decimal), self.edges).astype(np.int64)

    def encode_names(self, names: pd.Series) -> np.ndarray:
        """The numbers of buckets by name, int64, shape (n,)."""
        return super().encode(names)

    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Predictions as for `Labels`, and the expected value in the unit of the column."""
        out = super().frame(probs, codes, index)
        out.insert(2, "expected", probs @ np.array(self.centers))
        return out

    def records(self, probs: np.ndarray, codes: np.ndarray) -> list[dict[str, Any]]:
        records = super().records(probs, codes)
        for record, row in zip(records, probs.tolist(), strict=True):
            record["expected"] = float(np.dot(row, self.centers))
        return records

    def describe(self) -> str:
        return super().describe().replace(" classes (", " buckets (", 1)


@dataclass(frozen=True)
class Bins(UnorderedBins, OrderedLabels):
    """Ordered buckets of a number; arguments as for `UnorderedBins`."""
