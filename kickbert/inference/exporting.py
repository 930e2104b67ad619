"""An artifact's model exported to other forms, each compared with the predictions of torch before it is kept.

artifact → a graph (`onnx_graphs`) → its predictions of some rows → agreement, score → a file of the artifact, or none
"""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from kickbert.evaluation.evaluation import scores_of
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import MAIN_SCORES
from kickbert.inference.backends import ONNX, Backend, OnnxBackend, open_backend
from kickbert.inference.onnx_graphs import FORMS, write_onnx
from kickbert.inference.predictor import Predictor
from kickbert.models.artifact import Artifact, ArtifactError, add_file, read_artifact
from kickbert.targets.kinds import REGRESSION
from kickbert.text.cleaning_steps import Step
from kickbert.utils.extras import require

EXPORTS = "exports.json"
RENAMED = {"torch": "score_torch", "same answer": "agreement"}  # fields of files that 0.1.0 wrote
TOLERANCE = 1e-4  # of probabilities in fp32
LIMIT = 0.5  # of a score, in percentage points, that int8 may cost


def export(
    folder: str | Path,
    df: pd.DataFrame,
    forms: Sequence[str] = ("onnx", "onnx-int8"),
    *,
    limit: float = LIMIT,
    force: bool = False,
    functions: Sequence[Step] = (),
) -> pd.DataFrame:
    """Export an artifact's model to other forms, into its folder.

    Args:
        folder: of the artifact.
        df: rows to compare on, with labels to measure what int8 costs; some hundreds of validation rows do.
        forms: of "onnx", "onnx-int8", "onnx-fp16" and "torch-export".
        limit: percentage points that int8 may cost: of accuracy, of micro-F1 for multi-label, of R² for regression;
            without labels, of agreement.
        force: keep an int8 model that costs more.
        functions: cleaning steps of your own that the model was trained with.
    Returns:
        A row per form: form, file, MB; difference (the largest of a probability from torch's), agreement (share of the
        rows with torch's prediction), and with labels score_torch and score, in percentage points.
    Raises:
        ArtifactError: a form differs too much, or cannot be exported; it is not kept.
        ValueError: an unknown form, or no rows.
    """
    unknown = [form for form in forms if form not in FORMS]
    if unknown or not len(df):
        raise ValueError(f"forms={list(forms)} must be of {list(FORMS)}, and df must have rows ({len(df)} here)")
    require("onnx", extra="export")
    import onnx

    artifact = read_artifact(folder, functions)
    compare, exported = ExportComparison(artifact, df), []
    with TemporaryDirectory() as scratch:
        graph = None
        if set(forms) - {"torch-export"}:
            write_onnx(artifact, Path(scratch) / ONNX)
            graph = onnx.load(Path(scratch) / ONNX)
            del graph.graph.value_info[:]  # shapes of torch's exporter, which ONNX Runtime's quantizer takes for wrong
        for form in forms:
            name, write = FORMS[form]
            file = Path(scratch) / f"new.{name}"
            write(artifact, graph, file)
            exported.append(compare(form, file, limit, force))
            artifact = add_file(artifact, name, lambda part, file=file: part.write_bytes(file.read_bytes()))
    rows = {row["form"]: row for row in [*_earlier_exports(artifact), *exported]}
    add_file(artifact, EXPORTS, lambda part: part.write_text(json.dumps(list(rows.values()), indent=1)))
    return pd.DataFrame(exported)


def _earlier_exports(artifact: Artifact) -> list[dict[str, Any]]:
    """The rows of earlier exports, with the names that their fields have today."""
    rows = json.loads(artifact.file(EXPORTS).read_text(encoding="utf-8")) if EXPORTS in artifact else []
    return [{RENAMED.get(name, name): value for name, value in row.items()} for row in rows]


class ExportComparison:
    """Compares exported forms of a model with torch in fp32, by their predictions of some rows.

    Args:
        artifact: of the model.
        df: the rows, with or without labels.
    """

    def __init__(self, artifact: Artifact, df: pd.DataFrame):
        self.artifact, self.df = artifact, df
        self.reference = self._predict(open_backend(artifact, "torch"))

    def _predict(self, backend: Backend) -> Predictions:
        return Predictions.from_model(Predictor(self.artifact, backend), self.df)

    def __call__(self, form: str, file: Path, limit: float, force: bool) -> dict[str, Any]:
        """Compare a form with torch; its row of `export`'s table.

        Raises:
            ArtifactError: it differs by more than `TOLERANCE`, or int8 costs more than `limit`.
        """
        row = {"form": form, "file": FORMS[form][0], "MB": file.stat().st_size / 1e6}
        if form == "torch-export":  # torch's own, which is checked when it is made
            return row
        row |= self._compare(self._predict(OnnxBackend(file, form)))
        if form == "onnx" and not row["difference"] < TOLERANCE:
            raise ArtifactError(
                f"the ONNX model's probabilities are up to {row['difference']:.2g} from torch's on these rows, over "
                f"{TOLERANCE:g}, so it was not kept: these versions cannot export this architecture; use "
                "backend='torch'"
            )
        lost = row["score_torch"] - row["score"] if "score" in row else 100 * (1 - row["agreement"])
        if form == "onnx-int8" and lost > limit and not force:
            raise ArtifactError(
                f"int8 costs {lost:.2f} points on these {len(self.reference):,} rows, over limit={limit:g}, so it was "
                "not kept: compare on more rows, allow more, or force it"
            )
        return row

    def _compare(self, predictions: Predictions) -> dict[str, float]:
        """Difference and agreement, and with labels the scores."""
        task, decisions = predictions.target.task, (predictions.y_pred, self.reference.y_pred)
        same = np.isclose(*decisions, atol=0.05) if task == REGRESSION else decisions[0] == decisions[1]
        row = {
            "difference": float(np.abs(predictions.probs - self.reference.probs).max()),
            "agreement": float(same.reshape(len(same), -1).all(1).mean()),
        }
        if predictions.y_true is None:
            return row
        for name, scored in (("score_torch", self.reference), ("score", predictions)):
            row[name] = float(100 * scores_of(scored)(np.ones(len(scored)))[MAIN_SCORES[task]])
        return row
