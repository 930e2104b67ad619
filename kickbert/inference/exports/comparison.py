"""Compare exported models with PyTorch in fp32 on some rows: probabilities, predictions, the score."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import main_score, main_scores
from kickbert.evaluation.significance import intervals
from kickbert.inference.backends.backend import Backend
from kickbert.inference.backends.choice import open_export
from kickbert.inference.backends.torch_backend import TorchBackend
from kickbert.inference.exports.formats import FORMATS
from kickbert.inference.predictor import Predictor
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.loading import load_network
from kickbert.models.artifact.manifest import WEIGHTS
from kickbert.models.artifact.reading import Artifact

TOLERANCE = 1e-4  # maximum difference of a probability in fp32
LIMIT = 0.5  # percentage points of the score that int8 may cost
CALIBRATION_ROWS = 300  # texts from which ranges of activations are estimated


class _Recorder:
    """A backend that records its inputs and predicts nothing."""

    name = "recorder"
    workers = 1
    padding_budget = 0

    def __init__(self) -> None:
        self.inputs: list[tuple[np.ndarray, ...]] = []

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        self.inputs.append((ids, mask) if document_weights is None else (ids, mask, document_weights))
        return np.zeros(1, dtype=np.float32)


class Comparison:
    """Compares exported formats of a model with PyTorch by their predictions for some rows.

    Args:
        artifact: the saved model.
        df: the rows, with or without labels.
    """

    def __init__(self, artifact: Artifact, df: pd.DataFrame):
        self.artifact = artifact
        self.df = df
        self.network = load_network(artifact)
        self.reference = self._predict(TorchBackend(self.network))

    def inputs(self) -> list[tuple[np.ndarray, ...]]:
        """Inputs of a backend for the first rows with text, one row at a time."""
        recorder = _Recorder()
        predictor = Predictor(self.artifact, recorder)
        texts, empty = predictor.read(self.df)
        filled = [text for text, nothing in zip(texts, empty, strict=True) if not nothing]
        predictor.probabilities_of(filled[:CALIBRATION_ROWS], batch_size=1)
        return recorder.inputs

    def _predict(self, backend: Backend) -> Predictions:
        predictor = Predictor(self.artifact, backend)
        return Predictions.from_model(predictor, self.df)

    def torch_row(self) -> dict[str, Any]:
        """The row for PyTorch itself in the table of `export`."""
        size = self.artifact.manifest[WEIGHTS]["bytes"] / 1e6
        return {"format": "torch", "file": WEIGHTS, "MB": size} | self.differences(self.reference)

    def __call__(self, name: str, file: Path, limit: float, force: bool) -> dict[str, Any]:
        """Compare a format with PyTorch; return its row in the table of `export`.

        Raises:
            ArtifactError: it differs by more than `TOLERANCE`, or int8 costs more than `limit`.
        """
        row = {"format": name, "file": FORMATS[name][0], "MB": file.stat().st_size / 1e6}
        if name == "torch-export":  # PyTorch checks it during the export
            return row
        predictions = self._predict(open_export(file, name))
        differences = self.differences(predictions)
        if name == "onnx" and not differences["max_difference"] < TOLERANCE:
            raise ArtifactError(
                f"probabilities of the ONNX model differ from PyTorch's by up to {differences['max_difference']:.2g}, "
                f"more than {TOLERANCE:g}, so it was not kept. Use backend='torch'"
            )
        if name.endswith("int8") and not force:
            self._check_cost(predictions, limit)
        return row | differences

    def _check_cost(self, predictions: Predictions, limit: float) -> None:
        """Refuse a format that costs significantly more than `limit`, and warn if it is more but not significantly."""
        lost, low, high = self._cost(predictions)
        if lost <= limit:
            return
        cost = (
            f"int8 costs {lost:.2f} points on these {len(self.reference):,} rows, more than the limit of {limit:g} "
            f"(95% interval: {low:.2f} to {high:.2f})"
        )
        if low > limit:
            raise ArtifactError(f"{cost}, so it was not kept. Raise limit= (--limit), or use force=True (--force)")
        warnings.warn(f"{cost}. This may be chance, so it was kept; compare on more rows to be sure", stacklevel=4)

    def _cost(self, predictions: Predictions) -> tuple[float, float, float]:
        """Compute the cost of a format in percentage points, with its 95% interval.

        These are points of the main score or, without labels, of the share of identical predictions.
        """
        if predictions.y_true is None:
            same = self._same(predictions)

            def cost(weight: np.ndarray) -> dict[str, float]:
                return {"cost": 100 * float(1 - (same * weight).sum() / weight.sum())}
        else:
            score = predictions.target.shown_scores[0]
            reference = main_scores(self.reference)
            exported = main_scores(predictions)

            def cost(weight: np.ndarray) -> dict[str, float]:
                return {"cost": 100 * float(reference(weight)[score] - exported(weight)[score])}

        rows = len(self.reference)
        low, high = intervals(cost, rows).loc["cost", ["low", "high"]]
        return cost(np.ones(rows))["cost"], low, high

    def _same(self, predictions: Predictions) -> np.ndarray:
        """Find the rows with the same prediction as PyTorch, bool, shape (rows,)."""
        if predictions.target.is_number:
            same = np.isclose(predictions.y_pred, self.reference.y_pred, atol=0.05)
        else:
            same = predictions.y_pred == self.reference.y_pred
        return same.reshape(len(same), -1).all(1)

    def differences(self, predictions: Predictions) -> dict[str, float]:
        """Compute the largest difference of a probability, the share of identical predictions, and the score."""
        row = {
            "max_difference": float(np.abs(predictions.probs - self.reference.probs).max()),
            "same_prediction": float(self._same(predictions).mean()),
        }
        if predictions.y_true is not None:
            row["score"] = 100 * main_score(predictions)
        return row
