"""An artifact's model in other forms, each compared on rows with what torch says before it is kept.

artifact → a graph (`graphs.py`) → the same rows answered by it → differences and cost → a file of the artifact, or none
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

NOTES = "exports.json"
CLOSE = 1e-4  # that probabilities in fp32 may differ by
LIMIT = 0.5  # points of accuracy that int8 may cost


def export(
    folder: str | Path,
    df: pd.DataFrame,
    forms: Sequence[str] = ("onnx", "onnx-int8"),
    *,
    limit: float = LIMIT,
    force: bool = False,
    functions: Sequence[Step] = (),
) -> pd.DataFrame:
    """Write an artifact's model in other forms, into its folder.

    Args:
        folder: of the artifact.
        df: rows to compare on; its label column tells what int8 costs. Some hundreds of validation rows do.
        forms: of "onnx", "onnx-int8", "onnx-fp16" and "torch-export".
        limit: points that int8 may cost: of accuracy, of micro-F1 of several labels, of R² of numbers; without labels,
            of rows with the same answer.
        force: keep it at any cost.
        functions: cleaning steps of your own that the model was trained with.
    Returns:
        A row per form: form, file, MB, difference (the largest of a probability), same answer (share of the rows), and
        with labels the score of torch's answers and of its own, in points.
    Raises:
        ArtifactError: a form differs too much, or cannot be made; it is not kept.
        ValueError: an unknown form, or no rows.
    """
    odd = [form for form in forms if form not in FORMS]
    if odd or not len(df):
        raise ValueError(f"forms={list(forms)} must be of {list(FORMS)}, and df must have rows ({len(df)} here)")
    require("onnx", extra="export")
    import onnx

    artifact = read_artifact(folder, functions)
    judge, made = ExportComparison(artifact, df), []
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
            made.append(judge(form, file, limit, force))
            artifact = add_file(artifact, name, lambda part, file=file: part.write_bytes(file.read_bytes()))
    notes = json.loads(artifact.file(NOTES).read_text(encoding="utf-8")) if NOTES in artifact else []
    kept = {row["form"]: row for row in [*notes, *made]}
    add_file(artifact, NOTES, lambda part: part.write_text(json.dumps(list(kept.values()), indent=1)))
    return pd.DataFrame(made)


class ExportComparison:
    """Compares forms of a model with what torch in fp32 says of some rows.

    Args:
        artifact: of the model.
        df: the rows, with or without labels.
    """

    def __init__(self, artifact: Artifact, df: pd.DataFrame):
        self.artifact, self.df = artifact, df
        self.best = self._said(open_backend(artifact, "torch"))

    def _said(self, backend: Backend) -> Predictions:
        return Predictions.from_model(Predictor(self.artifact, backend), self.df)

    def __call__(self, form: str, file: Path, limit: float, force: bool) -> dict[str, Any]:
        """What a form costs.

        Raises:
            ArtifactError: too much.
        """
        row = {"form": form, "file": FORMS[form][0], "MB": file.stat().st_size / 1e6}
        if form == "torch-export":  # torch's own, which is checked when it is made
            return row
        row |= self._compared(self._said(OnnxBackend(file, form)))
        if form == "onnx" and not row["difference"] < CLOSE:
            raise ArtifactError(
                f"the ONNX model's probabilities are up to {row['difference']:.2g} from torch's on these rows, over "
                f"{CLOSE:g}, so it was not kept: these versions cannot export this architecture; use backend='torch'"
            )
        lost = row["torch"] - row["score"] if "score" in row else 100 * (1 - row["same answer"])
        if form == "onnx-int8" and lost > limit and not force:
            raise ArtifactError(
                f"int8 costs {lost:.2f} points on these {len(self.best):,} rows, over limit={limit:g}, so it was not "
                "kept: compare on more rows, allow more, or force it"
            )
        return row

    def _compared(self, found: Predictions) -> dict[str, float]:
        task, said = found.target.task, (found.y_pred, self.best.y_pred)
        same = np.isclose(*said, atol=0.05) if task == REGRESSION else said[0] == said[1]
        out = {
            "difference": float(np.abs(found.probs - self.best.probs).max()),
            "same answer": float(same.reshape(len(same), -1).all(1).mean()),
        }
        if found.y_true is None:
            return out
        even, name = np.ones(len(found)), MAIN_SCORES[task]
        scores = {key: 100 * scores_of(p)(even)[name] for key, p in (("torch", self.best), ("score", found))}
        return out | {key: float(value) for key, value in scores.items()}
