"""Predictions of a saved model, without fastai, and without torch for exported models.

texts → cleaned texts → token ids, longest first → batches → backend → probabilities in the original order → decisions
"""

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kickbert.data.batching import length_batches
from kickbert.evaluation.explanation import Explanation
from kickbert.evaluation.occlusion import occlusion
from kickbert.inference.backends.backend import Backend
from kickbert.inference.backends.choice import open_backend
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.metadata import encoder_name
from kickbert.models.artifact.reading import Artifact, read_artifact
from kickbert.tabular.column_model import REFUSE, ColumnModel, check_missing, names_beside
from kickbert.targets.base import Target
from kickbert.targets.outputs import prediction_frame
from kickbert.text.cleaning_steps import Step
from kickbert.text.columns import as_list, check_columns, read_items
from kickbert.utils.hashing import digest
from kickbert.utils.messages import Described

BATCH = 32
TOKENS = 8_192  # maximum tokens per batch, which limits the memory that long texts need


def load(
    folder: str | Path,
    backend: str = "auto",
    *,
    functions: Iterable[Step] = (),
    threads: int | None = None,
    missing: str = REFUSE,
) -> "Predictor":
    """Load a model that `learn.save_artifact` wrote.

    Args:
        folder: folder of a version, or of a model (its latest version is loaded); or "user/name" on the Hub.
        backend: "openvino-int8", "onnx-int8", "torch-bf16", "onnx" or "torch"; "auto" for the first of these that is
            available and fast on this machine.
        functions: custom cleaning functions that the model was trained with.
        threads: number of threads of ONNX Runtime or OpenVINO; None for all cores.
        missing: for a model that reads columns beside the text: "refuse" rows without one of them, or "impute" it, as
            if its cells were empty.
    Raises:
        ArtifactError: the folder is not an artifact, or it is incomplete, was changed, or has a newer format.
    """
    artifact = read_artifact(folder, functions)
    return Predictor(artifact, open_backend(artifact, backend, threads), missing=missing)


@lru_cache(maxsize=4)  # Ray, Spark and Dask unpickle a predictor for every task
def reopen(
    folder: Path, identity: str, backend: str, threads: int, functions: tuple[Step, ...], missing: str = REFUSE
) -> "Predictor":
    """Open a pickled predictor, once per process.

    Args:
        folder: folder of the version.
        identity: identity of the artifact when it was pickled.
        backend, threads, functions, missing: as for `load`.
    Raises:
        ArtifactError: the folder does not exist on this machine or contains a different model.
    """
    artifact = read_artifact(folder, functions)
    if artifact.identity != identity:
        raise ArtifactError(
            f"{folder} contains a different model than when the predictor was loaded. Load the model again, or copy "
            "the same version to every machine"
        )
    return Predictor(artifact, open_backend(artifact, backend, threads), missing=missing)


class Predictor(Described):
    """A saved model for inference. A pickle contains only the path of its folder, which every machine must have.

    Args:
        artifact: tokenizer, cleaning steps, target, and metadata.
        backend: backend that runs the network.
        outputs: number of columns of the backend's result; None for one per class of the artifact.
        missing: what to do with rows that lack a column beside the text, as for `load`.
    """

    def __init__(self, artifact: Artifact, backend: Backend, outputs: int | None = None, missing: str = REFUSE):
        self.artifact, self.backend = artifact, backend
        self.outputs = len(artifact.target.names) if outputs is None else outputs
        self.token_encoder, self.cleaner = artifact.token_encoder, artifact.cleaner
        self.missing = check_missing(missing)
        self._columns = artifact.columns and artifact.columns.with_missing(missing)
        self._pools: dict[int, ThreadPoolExecutor] = {}

    def facts(self) -> dict[str, str]:
        """Facts for `repr`: task, columns, encoder, folder, scores, and next steps."""
        info = self.artifact.metadata
        columns = " + ".join(map(str, [*self.text_col, *names_beside(self.columns)]))
        encoder = info["encoder"]
        known = [f"{name} {value:.4f}" for name, value in info["metrics"].items() if value is not None]
        return {
            "task": self.target.describe(),
            "columns": f"{columns} → {' + '.join(map(str, as_list(self.label_col)))}",
            "encoder": f"{encoder_name(encoder)} of {encoder['width']}; {self.backend.name}",
            "folder": str(self.artifact.folder),
            "scores": f"{'  '.join(known[:4])}, on {info['evaluated on']}" if known else "not evaluated when saved",
            "next": "predict(texts), predict_df(df), explain(text), kickbert.evaluate(model, df)",
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return reopen, self.reopen_args()

    def reopen_args(self, threads: int | None = None) -> tuple[Any, ...]:
        """Collect the arguments with which `reopen` opens this model in another process.

        Args:
            threads: number of threads of ONNX Runtime or OpenVINO there; None for the number used here.
        """
        artifact = self.artifact
        folder = artifact.folder.resolve()  # other processes may have a different working directory
        options = (self.backend.name, threads or self.backend.workers, artifact.functions, self.missing)
        return folder, artifact.identity, *options

    @property
    def target(self) -> Target:
        """The target that the model predicts."""
        return self.artifact.target

    @property
    def task(self) -> str:
        """ "single label", "multi-label", "ordinal" or "regression"."""
        return self.target.task

    @property
    def labels(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return self.target.names

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata from `kickbert.json` (task, encoder, head, tokens, rows, versions) and the backend."""
        return self.artifact.metadata | {"backend": self.backend.name}

    @property
    def fingerprint(self) -> str:
        """Hash of everything that determines predictions except the texts: the artifact's files and the backend."""
        settings = [self.backend.name, *([self.missing] if self.columns else [])]
        return digest(json.dumps(self.artifact.manifest, sort_keys=True), *settings)

    @property
    def text_col(self) -> list[str]:
        """The text columns, in the order in which they are joined."""
        return self.artifact.metadata["text_col"]

    @property
    def columns(self) -> ColumnModel | None:
        """The model of the columns beside the text; None if the model reads text alone."""
        return self._columns

    @property
    def label_col(self) -> str | list[str]:
        """The target column or columns used in training."""
        return self.artifact.metadata["label_col"]

    def predict(self, texts: Any, batch_size: int = BATCH) -> Any:
        """Predict the label of each text: a list for multi-label, the value for regression, None for an empty text.

        Args:
            texts: strings, tuples (one text per column), dicts, or a DataFrame; a single string returns one label.
            batch_size: maximum texts per batch.
        """
        if isinstance(texts, str):
            return self.predict([texts], batch_size)[0]
        cleaned, empty = self.read(texts)
        return self.labels_of(self.with_columns(self.probabilities_of(cleaned, batch_size), texts), empty)

    def labels_of(self, probs: np.ndarray, empty: np.ndarray) -> list[Any]:
        """Convert probabilities to labels as `predict` returns them; None for an empty row."""
        labels = self.target.frame(probs, self.decide(probs), pd.RangeIndex(len(probs))).iloc[:, 0].tolist()
        return [None if nothing else label for label, nothing in zip(labels, empty, strict=True)]

    def predict_proba(self, texts: Any, batch_size: int = BATCH) -> np.ndarray:
        """Predict probabilities, float32, shape (n, classes); for regression standardized values, shape (n, 1)."""
        return self.with_columns(self.probabilities_of(self.read(texts)[0], batch_size), texts)

    def with_columns(self, probs: np.ndarray, items: Any) -> np.ndarray:
        """Add what the columns beside the text say to the probabilities of the text; the same without such columns.

        Args:
            probs: what `probabilities_of` returned for the texts of these items.
            items: a DataFrame, or a list of dicts.
        Raises:
            ValueError: a column is missing.
        """
        if self.columns is None:
            return probs
        return self.target.shift(probs, self.columns.offsets(items), self.artifact.metadata["temperature"])

    def predict_df(
        self, df: pd.DataFrame, min_confidence: float | None = None, batch_size: int = BATCH
    ) -> pd.DataFrame:
        """Predict the rows of df, as `learn.predict_df` does.

        Returns:
            Columns `predicted_label`, `confidence`, `prob_<class>`, …, indexed like df; missing values for rows
            without text.
        """
        check_columns(df, text_col=self.text_col)
        texts, empty = self.read(df)
        probs = self.with_columns(self.probabilities_of(texts, batch_size), df)
        return prediction_frame(self.target, probs, self.decide(probs), df.index, empty, min_confidence)

    def decide(self, probs: np.ndarray) -> np.ndarray:
        """Decide by probabilities: class numbers, or zeros and ones for multi-label."""
        return self.target.decide(probs, self.artifact.thresholds)

    def explain(self, text: Any, label: Any = None, method: str = "occlusion") -> Explanation:
        """Explain a prediction by how much each word contributes to a class (`occlusion`).

        Args:
            text: a string, or a tuple or dict for several columns, also for those beside the text.
            label: the class; None for the predicted one.
            method: "occlusion", which only needs predictions; other methods need a learner.
        Raises:
            ValueError: an unsupported method, an unknown class, or a text without words.
        """
        if method != "occlusion":
            raise ValueError(
                f"method={method!r} needs a learner; a predictor supports only 'occlusion'. Make a learner from the "
                "artifact: kickbert.learner_from_artifact(folder, df)"
            )
        options = {
            "target": self.target,
            "token_encoder": self.token_encoder,
            "mask_id": self.artifact.metadata["mask"],
            "columns": self.columns and self.columns.effects(text, self.artifact.metadata["temperature"]),
        }
        return occlusion(self.read([text])[0][0], label, self._row_probabilities, **options)

    def _row_probabilities(self, rows: list[np.ndarray]) -> np.ndarray:
        """Predict rows of token ids, one row per document."""
        return self._document_probabilities(rows, np.arange(len(rows) + 1), BATCH)

    def labeled_rows(self, part: str) -> None:
        """Return None, because an artifact has no training rows."""

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Clean texts and join their columns; also return a mask of the empty rows (bool, shape (n,))."""
        return read_items(items, self.text_col, self.cleaner)

    def probabilities_of(self, texts: list[str], batch_size: int = BATCH) -> np.ndarray:
        """Predict probabilities of texts that `read` returned; repeated texts are predicted once."""
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        position = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        rows, first, _ = self.token_encoder.encode_documents(list(position))
        probs = self._document_probabilities(rows, np.arange(len(rows) + 1) if first is None else first, batch_size)
        return probs[[position[text] for text in texts]] if texts else probs

    def _document_probabilities(self, rows: list[np.ndarray], first: np.ndarray, batch_size: int) -> np.ndarray:
        """Predict documents; batches run in parallel if the backend has several workers.

        Args:
            rows: token ids of each row.
            first: first row of each document, then the number of rows, shape (documents + 1,).
            batch_size: maximum documents per batch.
        """
        out = np.zeros((len(first) - 1, self.outputs), dtype=np.float32)

        def predict_batch(documents: np.ndarray) -> None:
            spans = [rows[first[i] : first[i + 1]] for i in documents]
            document_weights = (
                _document_weights(list(map(len, spans))) if self.token_encoder.long == "windows" else None
            )
            out[documents] = self.backend(*self._padded([row for span in spans for row in span]), document_weights)

        batches = list(_batches(np.array(list(map(len, rows))), first, batch_size, self.backend.padding_budget))
        parallel = len(batches) > 1 and self.backend.workers > 1
        for _ in (self._pool.map if parallel else map)(predict_batch, batches):
            pass
        return out

    @property
    def _pool(self) -> ThreadPoolExecutor:
        """The threads of this process: those of its parent did not survive a fork."""
        process = os.getpid()
        if process not in self._pools:
            self._pools[process] = ThreadPoolExecutor(self.backend.workers, thread_name_prefix="kickbert")
        return self._pools[process]

    def _padded(self, rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Pad token ids; returns ids and attention mask, int64, both of shape (rows, longest row)."""
        longest = max(map(len, rows))
        ids = np.full((len(rows), longest), self.artifact.metadata["pad"], dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return ids, mask


def _document_weights(counts: list[int]) -> np.ndarray:
    """Compute the weights that average rows to documents, float32, shape (documents, rows).

    >>> _document_weights([1, 2])
    array([[1. , 0. , 0. ],
           [0. , 0.5, 0.5]], dtype=float32)
    """
    out, at = np.zeros((len(counts), sum(counts)), dtype=np.float32), 0
    for i, count in enumerate(counts):
        out[i, at : at + count] = 1 / count
        at += count
    return out


def _batches(lengths: np.ndarray, first: np.ndarray, size: int, padding_budget: int) -> Iterator[np.ndarray]:
    """Group documents of similar length into batches, longest first.

    Args:
        lengths: tokens per row.
        first: first row of each document, then the number of rows.
        size: maximum documents per batch; a batch also has at most `TOKENS` tokens.
        padding_budget: maximum padding tokens per batch.
    Yields:
        Document numbers of each batch.
    """
    if len(first) < 2:
        return iter(())
    tokens = np.maximum.reduceat(lengths, first[:-1]) * np.diff(first)
    return length_batches(tokens, tokens=TOKENS, rows=size, padding=padding_budget)
