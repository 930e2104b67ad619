"""PyTorch: padding does not change probabilities, and bf16 changes them little."""

import numpy as np

from kickbert.inference.backends.choice import open_backend
from kickbert.models.artifact.reading import read_artifact


def test_padding_does_not_change_probabilities(saved):
    backend = open_backend(read_artifact(saved), "torch")
    ids = np.array([[0, 20, 21, 2]])
    mask = np.ones((1, 4), dtype=np.int64)
    probs = backend(ids, mask, None)
    padded = backend(np.pad(ids, ((0, 0), (0, 3)), constant_values=1), np.pad(mask, ((0, 0), (0, 3))), None)
    assert probs.shape == (1, 2) and probs.dtype == np.float32
    np.testing.assert_allclose(padded, probs, atol=1e-6)
    half = open_backend(read_artifact(saved), "torch-bf16")(ids, mask, None)
    assert half.dtype == np.float32 and 0 < np.abs(half - probs).max() < 0.05
