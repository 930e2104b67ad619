"""The interface of all backends: token ids in, probabilities out."""

from typing import Protocol

import numpy as np


class Backend(Protocol):
    """The forward pass of a model.

    Attributes:
        name: name of the backend, such as "onnx-int8".
        workers: number of calls that may run in parallel, each on its own core.
        padding_budget: number of padding tokens that cost as much as one more call.
    """

    name: str
    workers: int
    padding_budget: int

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        """Compute probabilities, float32, shape (rows, classes) or (documents, classes).

        Args:
            ids: token ids, int64, shape (rows, tokens).
            mask: 1 for tokens and 0 for padding, int64, shape (rows, tokens).
            document_weights: weight of each row in the mean of each document, float32, shape (documents, rows); None
                without windows.
        """
        ...


class BackendOf:
    """A backend that passes its calls on to another one; subclasses define the call.

    Args:
        backend: the other backend.
    """

    def __init__(self, backend: Backend):
        self.backend = backend
        self.name = backend.name
        self.workers = backend.workers
        self.padding_budget = backend.padding_budget
