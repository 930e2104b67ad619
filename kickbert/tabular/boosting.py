"""Boosted trees on categories and numbers: each category as the target's mean in it, then the trees.

columns as numbers → mean target of each category → trees → a score for each output
"""

from dataclasses import dataclass

import numpy as np

from kickbert.tabular.trees import Trees

ABSENT = 4.0  # how far the score of a class without rows lies below the lowest of the others


@dataclass(frozen=True, eq=False)
class Booster:
    """Boosted trees on columns.

    Args:
        tables: for each column of categories, the target's mean by category number, float64, shape (categories + 1, k).
        trees: the trees.
        outputs: the outputs that they score, int64, shape (k,); the score of two classes is one number.
        size: number of outputs.
    """

    tables: tuple[np.ndarray, ...]
    trees: Trees
    outputs: np.ndarray
    size: int

    def scores(self, categories: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Score rows.

        Returns:
            Logits, or numbers, float64, shape (n, size).
        """
        encoded = [table[column] for table, column in zip(self.tables, categories.T, strict=False)]
        raw = self.trees.scores(np.concatenate([*encoded, numbers], axis=1))
        if self.size == 1:
            return raw
        if len(self.outputs) == 2:  # one tree per iteration, for the log odds of the second class
            raw = np.concatenate([-raw / 2, raw / 2], axis=1)
        scores = np.repeat(raw.min(1, keepdims=True) - ABSENT, self.size, axis=1)
        scores[:, self.outputs] = raw
        return scores
