"""What is predicted: one label, several labels, an ordered bucket, or a number.

cells → `encode` → codes → the model → probabilities → `frame` → a DataFrame of predictions
"""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from kickbert.targets.binning import read_numbers
from kickbert.targets.multilabel import from_columns, label_lists
from kickbert.utils.messages import row_names

Thresholds = float | np.ndarray
SINGLE, MULTI, ORDINAL, REGRESSION = TASKS = ("single label", "multi-label", "ordinal", "regression")


def median_class(probs: Any) -> Any:
    """The class below which half of the probability lies: the least absolute error in ranks.

    It is how CORN decides (Shi, Cao and Raschka 2021, section 3.4): a rank up for each "is it above?" that is more
    likely than not.

    Args:
        probs: a NumPy array or a torch tensor, shape (n, classes).
    Returns:
        Class numbers of the same kind, shape (n,).

    >>> median_class(np.array([[0.4, 0.2, 0.4], [0.1, 0.2, 0.7]]))
    array([1, 2])
    """
    return (probs.cumsum(-1) < 0.5).sum(-1).clip(max=probs.shape[-1] - 1)


@dataclass(frozen=True)
class Labels:
    """One of several classes that are given by name: strings, ints, bools or categories.

    Args:
        classes: the values as they stand in the column, in order.
        task: "single label", or "ordinal" if their order counts.
    """

    classes: tuple[Any, ...]
    task: str = SINGLE

    @property
    def names(self) -> list[str]:
        """The classes as they are shown."""
        return [str(c) for c in self.classes]

    def encode(self, values: pd.Series) -> np.ndarray:
        """Class numbers, int64, shape (n,); -1 for a value that is no class."""
        return pd.Index(self.classes, dtype=object).get_indexer(values.astype(object)).astype(np.int64)

    def unknown(self, values: pd.Series) -> tuple[np.ndarray, list[str]]:
        """Which rows hold something that is no class (bool, shape (n,)), and what."""
        bad = self.encode(values) < 0
        return bad, sorted({str(v) for v in values[bad]})

    def decode(self, codes: Sequence[int]) -> list[Any]:
        """The classes of the given numbers, as they stood in the column."""
        return [self.classes[int(i)] for i in codes]

    def shown(self, code: int) -> str:
        """A class as fastai's datasets hold it."""
        return self.names[code]

    def decide(self, probs: np.ndarray, thresh: Thresholds = 0.5) -> np.ndarray:
        """Class numbers, shape (n,): the likeliest class, of ranks the median (Shi, Cao and Raschka 2021, 3.4)."""
        if self.task == ORDINAL:
            return median_class(probs)
        return probs.argmax(1)

    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Predictions: label, confidence, and a probability for each class.

        Args:
            probs: shape (n, classes).
            codes: what was decided, shape (n,).
        """
        labels = pd.Series(self.decode(range(len(self.classes))))  # its type does not depend on the rows
        out = labels.take(codes).set_axis(index).to_frame("label")
        out["confidence"] = probs[np.arange(len(probs)), codes]
        return pd.concat([out, _probabilities(probs, self.names, index)], axis=1)


@dataclass(frozen=True)
class Bins(Labels):
    """Ordered buckets of a number.

    Args:
        edges: inner edges, ascending; a value equal to an edge falls in the upper bucket.
        classes: their names, `len(edges) + 1` of them.
        centers: mean of the training values of each bucket, in their own unit.
        decimal: the decimal mark of numbers kept as text; None where there were none in training.
    """

    edges: tuple[float, ...] = ()
    centers: tuple[float, ...] = ()
    decimal: str | None = None

    def encode(self, values: pd.Series) -> np.ndarray:
        """Bucket numbers, int64, shape (n,); values beyond the outer edges fall in the outer buckets."""
        return np.digitize(read_numbers(values, self.decimal), self.edges).astype(np.int64)

    def encode_names(self, names: pd.Series) -> np.ndarray:
        """Bucket numbers of buckets by name, int64, shape (n,)."""
        return super().encode(names)

    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Predictions: label, confidence, expected value in the target's own unit, a probability for each bucket."""
        out = super().frame(probs, codes, index)
        out.insert(2, "expected", probs @ np.array(self.centers))
        return out


@dataclass(frozen=True)
class MultiLabels(Labels):
    """Any number of classes for each row, none included.

    Args:
        classes: in order.
        delim: what stands between the labels of a cell; None for lists, or a column for each class.
        columns: whether each class is a column of zeros and ones.
        multi_hot: whether cells are lists of zeros and ones, a place for each class.
    """

    task: str = MULTI
    delim: str | None = None
    columns: bool = False
    multi_hot: bool = False

    def encode(self, values: pd.Series | pd.DataFrame) -> np.ndarray:
        """Zeros and ones, float32, shape (n, classes); a label that is no class is left out."""
        if self.columns:
            return from_columns(values[list(self.classes)])
        place, lists = self._lists(values)
        codes = np.zeros((len(values), len(self.classes)), dtype=np.float32)
        for row, labels in enumerate(lists):
            codes[row, [place[label] for label in labels if label in place]] = 1
        return codes

    def _lists(self, values: pd.Series) -> tuple[dict[Hashable, int], list[list[Hashable]]]:
        """The place of each label as cells have it, and the labels of each row."""
        known = range(len(self.classes)) if self.multi_hot else self.classes
        width = len(self.classes) if self.multi_hot else 0
        return {label: i for i, label in enumerate(known)}, label_lists(values, self.delim, width)

    def unknown(self, values: pd.Series | pd.DataFrame) -> tuple[np.ndarray, list[str]]:
        if self.columns:
            return np.zeros(len(values), dtype=bool), []
        place, lists = self._lists(values)
        unseen = [set(labels) - place.keys() for labels in lists]
        return np.array([bool(row) for row in unseen]), sorted({str(label) for row in unseen for label in row})

    def shown(self, code: np.ndarray) -> list[str]:
        return [self.names[i] for i in np.flatnonzero(code)]

    def decide(self, probs: np.ndarray, thresh: Thresholds = 0.5) -> np.ndarray:
        """Zeros and ones, shape (n, labels): the labels that reach their threshold."""
        return (probs >= np.asarray(thresh, dtype=probs.dtype)).astype(np.float32)

    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Predictions: the list of labels over their thresholds, and a probability for each class."""
        labels = pd.Series([self.decode(np.flatnonzero(row)) for row in codes], index=index, dtype=object)
        return pd.concat([labels.rename("labels"), _probabilities(probs, self.names, index)], axis=1)


@dataclass(frozen=True)
class Continuous:
    """A number, in its own unit outside and standardised for the model.

    Args:
        name: of the column.
        mean, std: of the training values, after the logarithm if there is one.
        log: whether the model learns log(1 + x); then no number is below zero, and one that is counts as zero.
        decimal: as in `Bins`.
    """

    name: str
    mean: float
    std: float
    log: bool = False
    decimal: str | None = None
    task: ClassVar[str] = REGRESSION

    @property
    def names(self) -> list[str]:
        """One output."""
        return [self.name]

    def standardize(self, numbers: np.ndarray) -> np.ndarray:
        """From the target's unit to what the model learns, float32."""
        shown = np.log1p(np.maximum(numbers, 0)) if self.log else numbers
        return ((shown - self.mean) / self.std).astype(np.float32)

    def inverse_transform(self, numbers: np.ndarray) -> np.ndarray:
        """From what the model says to the target's unit."""
        numbers = numbers * self.std + self.mean
        return np.maximum(np.expm1(numbers), 0) if self.log else numbers

    def encode(self, values: pd.Series) -> np.ndarray:
        """Standardised numbers, float32, shape (n,)."""
        return self.standardize(read_numbers(values, self.decimal))

    def unknown(self, values: pd.Series) -> tuple[np.ndarray, list[str]]:
        """No number is unknown."""
        return np.zeros(len(values), dtype=bool), []

    def shown(self, code: float) -> float:
        return float(self.inverse_transform(np.asarray(code, dtype=float)))

    def decide(self, probs: np.ndarray, thresh: Thresholds = 0.5) -> np.ndarray:
        """The numbers themselves."""
        return probs

    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Predictions: the value, in the target's own unit."""
        return pd.DataFrame({"value": self.inverse_transform(probs.reshape(-1).astype(float))}, index=index)


Target = Labels | Continuous
KINDS: dict[str, type[Target]] = {kind.__name__: kind for kind in (Labels, Bins, MultiLabels, Continuous)}


def to_dict(target: Target) -> dict:
    """A target as JSON can hold it.

    Raises:
        ValueError: classes that are no strings, numbers or booleans.

    >>> from_dict(to_dict(Labels(("bad", "good"))))
    Labels(classes=('bad', 'good'), task='single label')
    """
    content = {name: _plain(value) for name, value in asdict(target).items()}
    return {"kind": type(target).__name__, **content}


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (str, int, float, type(None))):
        raise ValueError(
            f"class {value!r} is a {type(value).__name__}, which JSON cannot hold; make the labels strings"
        )
    return value


def from_dict(content: dict) -> Target:
    """The target that `to_dict` wrote."""
    kind = KINDS[content["kind"]]
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in content.items() if name != "kind"}
    return kind(**fields)


def _probabilities(probs: np.ndarray, names: list[str], index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(probs, index=index, columns=[f"prob_{name}" for name in names])


def describe_target(target: Target) -> str:
    """The task in one line.

    >>> describe_target(Labels(("bad", "good")))
    'single label: 2 classes (bad, good)'
    """
    if isinstance(target, Continuous):
        return f"{target.task}: {target.name!r}" + (" on a logarithmic scale" if target.log else "")
    names, kind = target.names, "buckets" if isinstance(target, Bins) else "classes"
    listed = ", ".join(names[:6]) + (f", … {names[-1]}" if len(names) > 6 else "")
    rule = "; the label is their median" if target.task == ORDINAL else ""
    return f"{target.task}: {len(names)} {kind} ({listed}){rule}"


def unseen_labels(target: Target, values: pd.Series | pd.DataFrame) -> tuple[np.ndarray, str]:
    """Which rows have a label that training never saw (bool, shape (n,)), and a sentence about them."""
    bad, labels = target.unknown(values)
    rows = row_names(bad, values.index)
    return bad, f"{bad.sum():,} rows have a label that training never saw ({labels[:5]}): rows {rows}"
