"""Predictions of several tasks from one pass of the encoder that they share.

texts → cleaned texts → token ids → one encoder, the heads of all tasks → probabilities side by side → one per task
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kickbert.inference.backends.backend import Backend, BackendOf
from kickbert.inference.backends.choice import joint_choice, open_joint_backend
from kickbert.inference.predictor import BATCH, Predictor
from kickbert.models.artifact.metadata import encoder_name
from kickbert.models.artifact.reading import Artifact, read_artifact
from kickbert.models.artifact.shared_encoder import encoder_differences
from kickbert.tabular.columns import Column, distinct
from kickbert.targets.outputs import prediction_frame
from kickbert.text.cleaning_steps import Step
from kickbert.text.columns import check_columns
from kickbert.utils.messages import Described

Folders = str | Path | Sequence[str | Path] | Mapping[str, str | Path]


def load_many(
    folders: Folders, backend: str = "auto", *, functions: Iterable[Step] = (), threads: int | None = None
) -> "TaskPredictors":
    """Load several models that share a frozen encoder, which then runs once per text for all of them.

    Models share it if only heads and side networks were trained, as by `fit_gradual("fast")`, and if they read the same
    columns with the same cleaning and truncation. Predictions equal those of each model alone.

    Args:
        folders: folders as for `kickbert.load`, or a dict from a task's name to its folder. Without a dict, tasks have
            the names of their models' folders.
        backend: as for `kickbert.load`, except "openvino-int8". ONNX needs `kickbert.export` of each model.
        functions: custom cleaning functions that the models were trained with.
        threads: number of threads of ONNX Runtime; None for all cores.
    Raises:
        ArtifactError: a folder is not an artifact, or it is incomplete or was changed.
        ValueError: no folder, two tasks with one name, or models that cannot share a pass; the message says why.
    """
    artifacts = read_tasks(folders, functions)
    (first_name, first), *others = artifacts.items()
    for name, artifact in others:
        if differences := encoder_differences(first, artifact):
            raise ValueError(
                f"{name!r} cannot share a pass with {first_name!r}; they differ in {', '.join(differences)}. Train it "
                f'with the same encoder and settings and fit_gradual("fast"), or load it alone with kickbert.load'
            )
    return TaskPredictors(artifacts, open_joint_backend(list(artifacts.values()), backend, threads))


def read_tasks(folders: Folders, functions: Iterable[Step] = ()) -> dict[str, Artifact]:
    """Read the artifacts of several tasks, by name; arguments and errors as for `load_many`."""
    if isinstance(folders, str | Path):
        folders = [folders]
    steps = tuple(functions)
    if isinstance(folders, Mapping):
        artifacts = [(str(name), read_artifact(folder, steps)) for name, folder in folders.items()]
    else:
        artifacts = [(artifact.name, artifact) for artifact in (read_artifact(folder, steps) for folder in folders)]
    if not artifacts:
        raise ValueError("there is no model; give the folder of at least one")
    named: dict[str, Artifact] = {}
    for name, artifact in artifacts:
        if name in named:
            raise ValueError(f"two models are named {name!r}; rename one of their folders, or give a dict with names")
        named[name] = artifact
    return named


def shares_pass(first: Artifact, other: Artifact, backend: str = "auto") -> bool:
    """Whether two models should run as one: their encoder is the same, and a joint backend is as fast as each alone."""
    names = [joint_choice(artifact, backend) for artifact in (first, other)]
    return names[0] is not None and names[0] == names[1] and not encoder_differences(first, other)


class Columns(BackendOf):
    """The backend of one task: its columns of a joint backend's probabilities.

    Args:
        backend: the joint backend.
        columns: columns of the task.
    """

    def __init__(self, backend: Backend, columns: slice):
        super().__init__(backend)
        self.columns = columns

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        return self.backend(ids, mask, document_weights)[:, self.columns]


class TaskPredictors(Described):
    """Saved models of several tasks that share one pass of their encoder per text.

    Results are dicts from the name of a task to what its own `Predictor` returns.

    Args:
        artifacts: models whose `encoder_differences` are empty, by name of the task.
        backend: joint backend, with the probabilities of all tasks side by side.

    Attributes:
        tasks: a `Predictor` per task, for explanations, evaluation and files.
    """

    def __init__(self, artifacts: Mapping[str, Artifact], backend: Backend):
        self.artifacts = dict(artifacts)
        self.backend = backend
        self.tasks: dict[str, Predictor] = {}
        self._columns: dict[str, slice] = {}
        start = 0
        for name, artifact in self.artifacts.items():
            columns = slice(start, start + len(artifact.target.names))
            self._columns[name] = columns
            self.tasks[name] = Predictor(artifact, Columns(backend, columns))
            start = columns.stop
        self._joint = Predictor(next(iter(self.artifacts.values())), backend, outputs=start)

    def __getitem__(self, name: str) -> Predictor:
        return self.tasks[name]

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks)

    @property
    def text_col(self) -> list[str]:
        """The text columns, in the order in which they are joined."""
        return self._joint.text_col

    @property
    def beside(self) -> list[Column]:
        """The columns that any of the tasks reads beside the text, each once by its name."""
        return distinct(column for model in self.tasks.values() if model.columns for column in model.columns.columns)

    def with_columns(self, probs: np.ndarray, items: Any) -> np.ndarray:
        """Add what the columns beside the text say to probabilities side by side; as `Predictor.with_columns`."""
        return np.concatenate(list(self._split(probs, items).values()), axis=-1) if self.beside else probs

    def facts(self) -> dict[str, str]:
        """Facts for `repr`: the shared encoder, and the target of each task."""
        encoder = self._joint.metadata["encoder"]
        return {
            "columns": " + ".join(map(str, [*self.text_col, *(column.name for column in self.beside)])),
            "encoder": f"{encoder_name(encoder)} of {encoder['width']}, one pass for all tasks; {self.backend.name}",
            **{name: model.target.describe() for name, model in self.tasks.items()},
            "next": "predict(texts), predict_df(df), predict_proba(texts); tasks[name] is a Predictor",
        }

    def predict(self, texts: Any, batch_size: int = BATCH) -> dict[str, Any]:
        """Predict labels, by task; arguments and values as for `Predictor.predict`."""
        if isinstance(texts, str):
            return {name: labels[0] for name, labels in self.predict([texts], batch_size).items()}
        cleaned, empty = self.read(texts)
        probs = self._split(self.probabilities_of(cleaned, batch_size), texts)
        return {name: model.labels_of(probs[name], empty) for name, model in self.tasks.items()}

    def predict_proba(self, texts: Any, batch_size: int = BATCH) -> dict[str, np.ndarray]:
        """Predict probabilities, by task; values as for `Predictor.predict_proba`."""
        return self._split(self.probabilities_of(self.read(texts)[0], batch_size), texts)

    def predict_df(
        self, df: pd.DataFrame, min_confidence: float | None = None, batch_size: int = BATCH
    ) -> dict[str, pd.DataFrame]:
        """Predict the rows of df, by task; values as for `Predictor.predict_df`."""
        check_columns(df, text_col=self.text_col)
        texts, empty = self.read(df)
        probs = self._split(self.probabilities_of(texts, batch_size), df)
        return {
            name: prediction_frame(model.target, own, model.decide(own), df.index, empty, min_confidence)
            for (name, model), own in zip(self.tasks.items(), probs.values(), strict=True)
        }

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Clean texts and join their columns; also return a mask of the empty rows (bool, shape (n,))."""
        return self._joint.read(items)

    def probabilities_of(self, texts: list[str], batch_size: int = BATCH) -> np.ndarray:
        """Predict the probabilities of all tasks side by side, float32, shape (n, outputs), for texts from `read`."""
        return self._joint.probabilities_of(texts, batch_size)

    def _split(self, probs: np.ndarray, items: Any) -> dict[str, np.ndarray]:
        """Split probabilities by task, and add what the columns beside the text say in each."""
        return {name: self.tasks[name].with_columns(own, items) for name, own in self.split(probs).items()}

    def split(self, probs: np.ndarray) -> dict[str, np.ndarray]:
        """Split probabilities side by side, shape (..., outputs), by task."""
        return {name: probs[..., columns] for name, columns in self._columns.items()}
