"""Metrics of ranking: ROC-AUC and average precision of each class against the rest."""

import numpy as np


class Ranking:
    """ROC-AUC and average precision of columns of scores, which are sorted once for all weights.

    Args:
        y_true: bool, shape (n, columns).
        scores: shape (n, columns).
    """

    def __init__(self, y_true: np.ndarray, scores: np.ndarray):
        self.order = np.argsort(-scores, axis=0, kind="stable")
        ranked = np.take_along_axis(scores, self.order, 0)
        self.y_true = np.take_along_axis(y_true.astype(bool), self.order, 0)
        # A threshold cannot separate equal scores, so only the last of them is a point of the curve.
        self.last = np.append(ranked[1:] < ranked[:-1], np.ones((1, scores.shape[1]), bool), axis=0)

    def __call__(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute ROC-AUC and average precision of each column.

        Args:
            weight: weight of each row, shape (n,).
        Returns:
            Two arrays of shape (columns,); NaN for a column without positives or without negatives.
        """
        pairs = [self._column(i, weight[self.order[:, i]]) for i in range(self.order.shape[1])]
        auc, average_precision = np.array(pairs).reshape(-1, 2).T
        return auc, average_precision

    def means(self, weight: np.ndarray) -> dict[str, float]:
        """Average both over the columns where they are defined.

        Args:
            weight: weight of each row, shape (n,).
        """
        names = ("ROC-AUC", "average precision")
        defined = [values[~np.isnan(values)] for values in self(weight)]
        return {name: float(v.mean()) if len(v) else np.nan for name, v in zip(names, defined, strict=True)}

    def _column(self, i: int, weight: np.ndarray) -> tuple[float, float]:
        positive = self.y_true[:, i]
        last = self.last[:, i]
        true_positives = np.concatenate([[0.0], np.cumsum(weight * positive)[last]])
        false_positives = np.concatenate([[0.0], np.cumsum(weight * ~positive)[last]])
        positives = true_positives[-1]
        negatives = false_positives[-1]
        if not positives or not negatives:
            return np.nan, np.nan
        auc = np.trapezoid(true_positives, false_positives) / (positives * negatives)
        precision = true_positives[1:] / np.maximum(true_positives[1:] + false_positives[1:], 1e-12)
        return auc, (np.diff(true_positives) * precision).sum() / positives
