"""An artifact's model exported to other forms, each compared with the predictions of torch before it is kept.

artifact → a graph (`onnx_graphs`) → its predictions of some rows → agreement, score → a file of the artifact, or none
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import main_score, main_scores
from kickbert.evaluation.significance import intervals
from kickbert.inference.backends import ONNX, Backend, open_backend, open_export
from kickbert.inference.onnx_graphs import FORMS, Source, write_onnx
from kickbert.inference.predictor import Predictor
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.manifest import WEIGHTS
from kickbert.models.artifact.reading import Artifact, read_artifact
from kickbert.models.artifact.versions import add_file
from kickbert.models.artifact.vocabulary import trim_vocabulary
from kickbert.text.cleaning_steps import Step
from kickbert.utils.extras import require
from kickbert.utils.messages import nearest

EXPORTS = "exports.json"
TOLERANCE = 1e-4  # of probabilities in fp32
LIMIT = 0.5  # of a score, in percentage points, that int8 may cost
CALIBRATION_ROWS = 300  # texts whose activations' ranges are taken


def export(
    folder: str | Path,
    df: pd.DataFrame,
    forms: Sequence[str] = ("onnx", "onnx-int8"),
    *,
    limit: float = LIMIT,
    force: bool = False,
    functions: Sequence[Step] = (),
    vocabulary: Any = None,
) -> pd.DataFrame:
    """Export an artifact's model to other forms, into its folder.

    Args:
        folder: of the artifact.
        df: rows to compare on, with labels to measure what int8 costs; some hundreds of validation rows do.
        forms: of "onnx", "onnx-int8", "openvino-int8", "onnx-fp16" and "torch-export". Ranges of activations, which
            "openvino-int8" fixes, are those of the first rows' texts.
        limit: percentage points that int8 may cost of the main score: accuracy, quadratic kappa of ordered classes,
            micro-F1 of several labels, R² of numbers; without labels, of agreement. It is refused where its cost is
            over that beyond chance.
        force: keep an int8 model that costs more.
        functions: cleaning steps of your own that the model was trained with.
        vocabulary: texts (strings, tuples, dicts or a DataFrame) to whose tokens the model is cut first, as a new
            version; predictions of these texts stay what they are. None to keep all tokens.
    Returns:
        A row per form: form, file, MB; difference (the largest of a probability from torch's), agreement (share of the
        rows with torch's prediction), and with labels score_torch and score, in percentage points. With `vocabulary`
        the first row has MB and tokens of the version before too.
    Raises:
        ArtifactError: a form differs too much, or cannot be exported; it is not kept.
        ValueError: an unknown form, or no rows.
    Warns:
        int8 costs more than `limit` on these rows, and that may be chance.
    """
    check_forms(forms)
    if not len(df):
        raise ValueError("df must have rows to compare on, and has none")
    import onnx

    artifact = read_artifact(folder, functions)
    compare, exported = ExportComparison(artifact, df), []
    if vocabulary is not None:
        compare, row = _trimmed(compare, vocabulary)
        artifact, exported = compare.artifact, [row]
    with TemporaryDirectory() as scratch:
        graph = None
        if set(forms) - {"torch-export"}:
            write_onnx(artifact, Path(scratch) / ONNX)
            graph = onnx.load(Path(scratch) / ONNX)
            del graph.graph.value_info[:]  # shapes of torch's exporter, which ONNX Runtime's quantizer takes for wrong
        for form in forms:
            name, write = FORMS[form]
            file = Path(scratch) / f"new.{name}"
            write(Source(artifact, graph, compare.inputs), file)
            exported.append(compare(form, file, limit, force))
            artifact = add_file(artifact, name, lambda part, file=file: part.write_bytes(file.read_bytes()))
    rows = {row["form"]: row for row in [*_earlier_exports(artifact), *exported]}
    add_file(artifact, EXPORTS, lambda part: part.write_text(json.dumps(list(rows.values()), indent=1)))
    return pd.DataFrame(exported)


def check_forms(forms: Sequence[str]) -> None:
    """Check that a model can be exported to these forms here.

    Raises:
        ValueError: an unknown form.
        ImportError: what exports is not installed.
    """
    if unknown := [form for form in forms if form not in FORMS]:
        raise ValueError(f"form {unknown[0]!r} is not one of {list(FORMS)}{nearest(unknown[0], FORMS)}")
    if forms:
        require("onnx", extra="export")
    if "openvino-int8" in forms:
        require("openvino", extra="openvino")
        require("nncf", extra="openvino")


def _earlier_exports(artifact: Artifact) -> list[dict[str, Any]]:
    """The rows of earlier exports."""
    return json.loads(artifact.file(EXPORTS).read_text(encoding="utf-8")) if EXPORTS in artifact else []


def _trimmed(before: "ExportComparison", texts: Any) -> tuple["ExportComparison", dict[str, Any]]:
    """A new version with the tokens of the texts alone, and what that changes."""
    after = ExportComparison(trim_vocabulary(before.artifact, texts), before.df)
    mb, mb_before = (compared.artifact.manifest[WEIGHTS]["bytes"] / 1e6 for compared in (after, before))
    tokens, tokens_before = (compared.artifact.token_encoder.tokenizer.get_vocab_size() for compared in (after, before))
    sizes = {"MB": mb, "MB before": mb_before, "tokens": tokens, "tokens before": tokens_before}
    return after, {"form": "vocabulary", "file": WEIGHTS} | sizes | before._compare(after.reference)


class _Recorder:
    """A backend that keeps what it is given, and predicts nothing."""

    name, workers, spare = "recorder", 1, 0

    def __init__(self):
        self.inputs: list[tuple[np.ndarray, ...]] = []

    def __call__(self, *inputs: np.ndarray | None) -> float:
        self.inputs.append(tuple(value for value in inputs if value is not None))
        return 0.0


class ExportComparison:
    """Compares exported forms of a model with torch in fp32, by their predictions of some rows.

    Args:
        artifact: of the model.
        df: the rows, with or without labels.
    """

    def __init__(self, artifact: Artifact, df: pd.DataFrame):
        self.artifact, self.df = artifact, df
        self.reference = self._predict(open_backend(artifact, "torch"))

    def inputs(self) -> list[tuple[np.ndarray, ...]]:
        """What a backend is given of the first rows that have text, one by one."""
        predictor = Predictor(self.artifact, _Recorder())
        texts, empty = predictor.read(self.df)
        filled = [text for text, nothing in zip(texts, empty, strict=True) if not nothing]
        predictor.probabilities_of(filled[:CALIBRATION_ROWS], batch_size=1)
        return predictor.backend.inputs

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
        predictions = self._predict(open_export(file, form))
        row |= self._compare(predictions)
        if form == "onnx" and not row["difference"] < TOLERANCE:
            raise ArtifactError(
                f"the ONNX model's probabilities are up to {row['difference']:.2g} from torch's on these rows, over "
                f"{TOLERANCE:g}, so it was not kept: these versions cannot export this architecture; use "
                "backend='torch'"
            )
        if form.endswith("int8") and not force:
            self._check_cost(predictions, limit)
        return row

    def _check_cost(self, predictions: Predictions, limit: float) -> None:
        """Refuse a form that certainly costs more than `limit`, and warn of one that may."""
        lost, low, high = self._cost(predictions)
        if lost <= limit:
            return
        cost = (
            f"int8 costs {lost:.2f} points on these {len(self.reference):,} rows, over limit={limit:g} (95 % interval "
            f"{low:.2f} to {high:.2f})"
        )
        if low > limit:
            raise ArtifactError(f"{cost}, so it was not kept: allow more, or force it")
        warnings.warn(f"{cost}, which may be chance: it was kept; compare on more rows to be sure", stacklevel=4)

    def _cost(self, predictions: Predictions) -> tuple[float, float, float]:
        """Percentage points of the main score, or without labels of agreement, that a form costs; low, high (95 %)."""
        if predictions.y_true is None:
            same = self._same(predictions)

            def cost(weight: np.ndarray) -> dict[str, float]:
                return {"cost": 100 * float(1 - (same * weight).sum() / weight.sum())}
        else:
            score = predictions.target.shown_scores[0]
            ours, theirs = main_scores(self.reference), main_scores(predictions)

            def cost(weight: np.ndarray) -> dict[str, float]:
                return {"cost": 100 * float(ours(weight)[score] - theirs(weight)[score])}

        rows = len(self.reference)
        return cost(np.ones(rows))["cost"], *intervals(cost, rows).loc["cost", ["low", "high"]]

    def _same(self, predictions: Predictions) -> np.ndarray:
        """Rows with torch's prediction, bool, shape (rows,)."""
        decisions = (predictions.y_pred, self.reference.y_pred)
        numbers = predictions.target.is_number
        same = np.isclose(*decisions, atol=0.05) if numbers else decisions[0] == decisions[1]
        return same.reshape(len(same), -1).all(1)

    def _compare(self, predictions: Predictions) -> dict[str, float]:
        """Difference and agreement, and with labels the scores."""
        row = {
            "difference": float(np.abs(predictions.probs - self.reference.probs).max()),
            "agreement": float(self._same(predictions).mean()),
        }
        if predictions.y_true is None:
            return row
        for name, scored in (("score_torch", self.reference), ("score", predictions)):
            row[name] = 100 * main_score(scored)
        return row
