"""Logistic regression as a linear layer predicts what scikit-learn's estimator predicts."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from kickbert.models.logistic_regression import fit_logistic


@pytest.fixture(scope="module")
def embeddings():
    return np.random.default_rng(0).normal(size=(60, 5))


@pytest.mark.parametrize("classes", [2, 3])
def test_classes(embeddings, classes):
    codes = (embeddings[:, 0] > 0).astype(int) + (classes == 3) * (embeddings[:, 1] > 0)
    weights, biases = fit_logistic(embeddings, codes, classes + 1, c=10.0)
    probabilities = softmax(embeddings @ weights.T + biases, axis=1)
    expected = LogisticRegression(C=10.0, max_iter=1_000).fit(embeddings, codes).predict_proba(embeddings)
    seen = probabilities[:, :classes] / probabilities[:, :classes].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(seen, expected, atol=1e-9)
    assert probabilities[:, classes].max() < 0.01  # a class without rows


def test_labels(embeddings):
    targets = np.stack([embeddings[:, 0] > 0, np.zeros(60), np.ones(60)], axis=1).astype(int)
    weights, biases = fit_logistic(embeddings, targets, 3)
    probabilities = expit(embeddings @ weights.T + biases)
    expected = LogisticRegression(max_iter=1_000).fit(embeddings, targets[:, 0]).predict_proba(embeddings)
    np.testing.assert_allclose(probabilities[:, 0], expected[:, 1], atol=1e-9)
    assert probabilities[:, 1].max() < 0.001 and probabilities[:, 2].min() > 0.999
