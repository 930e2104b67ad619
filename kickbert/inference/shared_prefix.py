"""Several saved models on the same texts: the layers that their encoders have in common are computed once.

folders → predictors → those that read texts alike → a batch through shared layers → each model's own layers and head

Shared layers are identified by their weights, layer by layer.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kickbert.inference.backends import TorchBackend
from kickbert.inference.predictor import BATCH, Predictor
from kickbert.models.artifact.manifest import TOKENIZER
from kickbert.models.artifact.reading import Artifact, read_artifact
from kickbert.targets.outputs import prediction_frame
from kickbert.text.cleaning_steps import Step
from kickbert.utils.messages import Described

if TYPE_CHECKING:
    from torch import Tensor

# Of the metadata: what makes token ids of a text, together with a tokenizer.
READING = ("text_col", "cleaning", "tokens", "pad")


def load_many(
    folders: Iterable[str | Path] | Mapping[str, str | Path], *, functions: Iterable[Step] = ()
) -> "ManyPredictors":
    """Load several models that answer together, in torch and fp32; the layers that they share are computed once.

    Args:
        folders: as for `load`, by name; without names each model is named as its folder.
        functions: cleaning steps of your own that the models were trained with.
    Raises:
        ArtifactError: one of them is no artifact, or was cut short, changed, or is of a newer format.
        ValueError: no folders, or two models of one name.
    """
    named = dict(folders) if isinstance(folders, Mapping) else None
    functions = tuple(functions)
    given = list(named.values()) if named is not None else [folders] if isinstance(folders, str) else list(folders)
    artifacts = [read_artifact(folder, functions) for folder in given]
    if not artifacts:
        raise ValueError("folders is empty; give the folders of some models, or a dict of names and folders")
    names = list(named) if named is not None else [artifact.name for artifact in artifacts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several models are named {twice[0]!r}; give names: load_many({{'a': folder, 'b': folder}})")
    return ManyPredictors({n: Predictor(a, TorchBackend(a, "torch")) for n, a in zip(names, artifacts, strict=True)})


class ManyPredictors(Described):
    """Saved models that answer together, by name.

    Args:
        models: by name, each with a `TorchBackend`; each goes on answering by itself too.
    """

    def __init__(self, models: Mapping[str, Predictor]):
        self.models, alike = dict(models), {}
        for name, model in self.models.items():
            alike.setdefault(_reading(model.artifact), {})[name] = model
        self.parts = [_Alike(part) for part in alike.values()]

    def facts(self) -> dict[str, str]:
        """Of each model what it shares: what `repr` shows."""
        table = self.shared.set_index("model")
        lines = {
            name: f"{row['shared layers']} of {row['layers']} layers shared with {row['shared with'] or 'none'}"
            for name, row in table.iterrows()
        }
        return lines | {"next": "predict(texts), predict_df(df), shared"}

    @property
    def shared(self) -> pd.DataFrame:
        """A row per model: model, folder, layers, shared layers (with the model it shares most with), shared with.

        A model that shares its embeddings and no layer has 0 shared layers, and names in `shared with`.
        """
        rows = [row for part in self.parts for row in part.shared()]
        return pd.DataFrame(rows).set_index("model").loc[list(self.models)].reset_index()

    def predict(self, texts: Any, batch_size: int = BATCH) -> dict[str, Any]:
        """Predict texts by each model, as `Predictor.predict` does: a list, or of one string a label, by name."""
        if isinstance(texts, str):
            return {name: labels[0] for name, labels in self.predict([texts], batch_size).items()}
        found = self._probabilities(texts, batch_size)
        return {name: self.models[name].labels_of(*found[name]) for name in self.models}

    def predict_proba(self, texts: Any, batch_size: int = BATCH) -> dict[str, np.ndarray]:
        """Predict probabilities by each model, as `Predictor.predict_proba` does."""
        found = self._probabilities(texts, batch_size)
        return {name: found[name][0] for name in self.models}

    def predict_df(self, df: pd.DataFrame, batch_size: int = BATCH) -> pd.DataFrame:
        """Predict the rows of df by each model.

        Returns:
            Indexed like df, with the columns of `Predictor.predict_df`, before each the model's name: `topic_label`,
            `topic_confidence`, `topic_prob_<class>`, …
        """
        found, tables = self._probabilities(df, batch_size), []
        for name, model in self.models.items():
            probs, empty = found[name]
            table = prediction_frame(model.target, probs, model.decide(probs), df.index, empty)
            tables.append(table.add_prefix(f"{name}_"))
        return pd.concat(tables, axis=1)

    def _probabilities(self, items: Any, batch_size: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By name probabilities, and which rows have no text."""
        out = {}
        for part in self.parts:
            texts, empty = part.read(items)
            probs = part.probabilities_of(texts, batch_size)
            out |= {name: (own, empty) for name, own in part.split(probs).items()}
        return out


def _reading(artifact: Artifact) -> str:
    """What the token ids of a text depend on."""
    settings = {name: artifact.metadata[name] for name in READING}
    return json.dumps([settings, artifact.manifest[TOKENIZER]["sha256"]], sort_keys=True)


class _Alike(Predictor):
    """Models that make the same token ids of a text, as one whose probabilities stand side by side.

    Args:
        members: predictors by name.
    """

    def __init__(self, members: dict[str, Predictor]):
        self.members, models = members, list(members.values())
        super().__init__(models[0].artifact, SharedBackend([model.backend for model in models]))

    @property
    def labels(self) -> list[str]:
        """Names of the classes of all models, in the order of the probabilities."""
        return [label for model in self.members.values() for label in model.labels]

    def split(self, probs: np.ndarray) -> dict[str, np.ndarray]:
        """The probabilities of each model by name."""
        ends = np.cumsum([len(model.labels) for model in self.members.values()])
        return dict(zip(self.members, np.split(probs, ends[:-1], axis=1), strict=True))

    def shared(self) -> list[dict[str, Any]]:
        """The rows of these models in `ManyPredictors.shared`."""
        rows, names = [], list(self.members)
        for i, (name, model) in enumerate(self.members.items()):
            others = {other: self.backend.common([i, j]) for j, other in enumerate(names) if j != i}
            most = max(others.values(), default=-1)
            rows.append({
                "model": name, "folder": str(model.artifact.folder), "layers": self.backend.models[i].encoder.n_layers,
                "shared layers": max(0, most), "shared with": ", ".join(o for o, n in others.items() if n == most >= 0),
            })  # fmt: skip
        return rows


class SharedBackend:
    """torch in fp32 for several models: a batch goes once through each layer that some of them have in common.

    Args:
        backends: of the models.
    """

    workers, spare, name = TorchBackend.workers, TorchBackend.spare, "torch"

    def __init__(self, backends: Sequence[TorchBackend]):
        from kickbert.cache.keys import prefix_keys
        from kickbert.models.classifier import TextClassifier

        self.torch, self.device = backends[0].torch, backends[0].device
        self.models = [backend.model for backend in backends]
        classifiers = [TextClassifier(model.encoder, model.head) for model in self.models]
        self.keys = [prefix_keys(classifier, classifier.encoder.n_layers) for classifier in classifiers]
        lent: dict[str, list] = {}  # one copy of what is the same is enough
        for model, keys in zip(self.models, self.keys, strict=True):
            for key, modules in zip(keys, model.encoder.modules_by_group(), strict=True):
                for module, same in zip(modules, lent.setdefault(key, modules), strict=True):
                    module._parameters, module._buffers = same._parameters, same._buffers

    def common(self, models: Sequence[int]) -> int:
        """The depth to which these models are the same, a number of layers; -1 where their embeddings differ."""
        keys = zip(*(self.keys[i] for i in models), strict=False)
        return sum(1 for _ in takewhile(lambda at: len(set(at)) == 1, keys)) - 1

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        """Probabilities of all models side by side; arguments as for `Backend`."""
        tensors = [
            None if x is None else self.torch.from_numpy(x).to(self.device) for x in (ids, mask, document_weights)
        ]
        with self.torch.inference_mode():
            probs = self._answers(range(len(self.models)), None, -1, tensors[0], tensors[1].bool(), tensors[2])
            return self.torch.cat([probs[i] for i in range(len(probs))], 1).float().cpu().numpy()

    def _answers(
        self, models: Iterable[int], hidden: "Tensor | None", depth: int, ids: "Tensor", mask: "Tensor", weights: Any
    ) -> dict[int, "Tensor"]:
        """Probabilities of models from the hidden states that they have in common at `depth`; -1 for the token ids."""
        parts, out = {}, {}
        for i in models:
            parts.setdefault(self.keys[i][depth + 1], []).append(i)
        for part in parts.values():
            encoder, stop = self.models[part[0]].encoder, self.common(part)
            first = all(self.models[i].head.reads_first for i in part)
            if hidden is None:
                states = encoder.prefix(ids, mask, stop, first)
            else:
                states = encoder.between(hidden, mask, depth, stop, first)
            if stop == encoder.n_layers:
                out |= {i: self.models[i].probabilities(states, mask, weights) for i in part}
            else:
                out |= self._answers(part, states, stop, ids, mask, weights)
        return out
