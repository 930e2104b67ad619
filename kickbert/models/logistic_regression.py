"""Logistic regression on embeddings, as the weights and biases of a linear layer."""

import numpy as np
from sklearn.linear_model import LogisticRegression

UNSEEN = 10.0  # how far the logit of a class without rows lies below zero


def fit_logistic(
    embeddings: np.ndarray, targets: np.ndarray, outputs: int, c: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Fit an L2-regularized logistic regression by scikit-learn.

    Args:
        embeddings: Pooled states, shape (n, width).
        targets: Class numbers, shape (n,), for a softmax over the logits; or zeros and ones, shape (n, outputs), for
            an independent sigmoid per label.
        outputs: Number of classes or labels. A class without rows becomes unlikely.
        c: Inverse strength of the L2 regularization.
    Returns:
        Weights, float64, shape (outputs, width), and biases, float64, shape (outputs,).
    """
    if targets.ndim == 1:
        return _fit_classes(embeddings, targets, outputs, c)
    weights = np.zeros((outputs, embeddings.shape[1]))
    biases = np.zeros(outputs)
    for label in range(outputs):
        (off, on), (off_bias, on_bias) = _fit_classes(embeddings, targets[:, label], 2, c)
        weights[label] = on - off
        biases[label] = on_bias - off_bias
    return weights, biases


def _fit_classes(embeddings: np.ndarray, codes: np.ndarray, classes: int, c: float) -> tuple[np.ndarray, np.ndarray]:
    weights = np.zeros((classes, embeddings.shape[1]))
    biases = np.full(classes, -UNSEEN)
    present = np.unique(codes).astype(int)
    if len(present) == 1:
        biases[present] = 0
        return weights, biases
    fitted = LogisticRegression(C=c, max_iter=1_000).fit(embeddings, codes)
    if len(present) == 2:  # scikit-learn keeps only the difference of the two classes
        halves = np.array([[-0.5], [0.5]])
        weights[present] = halves * fitted.coef_
        biases[present] = (halves * fitted.intercept_)[:, 0]
    else:
        weights[present] = fitted.coef_
        biases[present] = fitted.intercept_
    return weights, biases
