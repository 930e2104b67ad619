"""Boosted trees as arrays, evaluated by NumPy: fitted by scikit-learn, and predicted without it.

A tree is a row of each array; a leaf is a node that leads to itself, so that all rows take the same number of steps.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

CELLS = 2_000_000  # rows times trees that are evaluated at a time


@dataclass(frozen=True, eq=False)
class Trees:
    """Gradient-boosted trees.

    Args:
        feature: the feature that each node tests, int32, shape (trees, nodes).
        threshold: rows up to this value go left, float64, shape (trees, nodes).
        missing_left: whether rows without a value go left, bool, shape (trees, nodes).
        left, right: the next node, int32, shape (trees, nodes); a leaf leads to itself.
        value: the value of each leaf, float64, shape (trees, nodes).
        baseline: the sum of no trees, float64, shape (outputs,). Tree i adds to output i modulo the number of outputs.
        depth: the depth of the deepest tree, int64, shape (1,).
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    baseline: np.ndarray
    depth: np.ndarray

    @classmethod
    def of(cls, model: Any) -> Self:
        """Take the trees of scikit-learn's `HistGradientBoostingClassifier` or `HistGradientBoostingRegressor`."""
        nodes = [predictor.nodes for iteration in model._predictors for predictor in iteration]
        shape = (len(nodes), max(map(len, nodes), default=1))
        itself = np.tile(np.arange(shape[1], dtype=np.int32), (shape[0], 1))
        made: dict[str, np.ndarray] = {
            "feature": np.zeros(shape, np.int32),
            "threshold": np.zeros(shape),
            "missing_left": np.zeros(shape, bool),
            "left": itself,
            "right": itself.copy(),
            "value": np.zeros(shape),
        }
        for tree, table in enumerate(nodes):
            inner = np.flatnonzero(table["is_leaf"] == 0)
            for name, column in (
                ("feature", "feature_idx"),
                ("threshold", "num_threshold"),
                ("missing_left", "missing_go_to_left"),
                ("left", "left"),
                ("right", "right"),
            ):
                made[name][tree, inner] = table[column][inner]
            made["value"][tree, : len(table)] = table["value"]
        depth = max((int(table["depth"].max()) for table in nodes), default=0)
        return cls(**made, baseline=np.asarray(model._baseline_prediction, float).reshape(-1), depth=np.array([depth]))

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Sum the leaves of each row.

        Args:
            x: features, float64, shape (n, features); NaN for a missing one.
        Returns:
            float64, shape (n, outputs).
        """
        out = np.tile(self.baseline, (len(x), 1))
        chunk = max(1, CELLS // max(1, len(self.value)))
        for start in range(0, len(x) if len(self.value) else 0, chunk):
            part = x[start : start + chunk]
            leaves = self._leaves(part)
            out[start : start + chunk] += leaves.reshape(len(part), -1, len(self.baseline)).sum(1)
        return out

    def _leaves(self, x: np.ndarray) -> np.ndarray:
        """Find the value of each row's leaf in each tree, shape (n, trees)."""
        trees = np.arange(len(self.value))
        rows = np.arange(len(x))[:, None]
        node = np.zeros((len(x), len(trees)), np.int32)
        for _ in range(int(self.depth[0])):
            cell = x[rows, self.feature[trees, node]]
            left = np.where(np.isnan(cell), self.missing_left[trees, node], cell <= self.threshold[trees, node])
            node = np.where(left, self.left[trees, node], self.right[trees, node])
        return self.value[trees, node]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
