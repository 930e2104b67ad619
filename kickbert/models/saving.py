"""A learner to an artifact, and an artifact to its model, kickbert's own or a pipeline of transformers.

learner → tokenizer, weights, metadata → folder → encoder and head
"""

import datetime
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, TextClassificationPipeline
from transformers.pipelines.text_classification import ClassificationFunction

from kickbert import __version__
from kickbert.models.artifact import (
    CARD,
    HEAD,
    INFO,
    OF_TRANSFORMERS,
    TOKENIZER,
    WEIGHTS,
    Artifact,
    ArtifactError,
    read_artifact,
    write_artifact,
)
from kickbert.models.classifier import ProbabilityModel, TextClassifier
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head
from kickbert.models.hf_conversion import labeled_config, plain_model
from kickbert.models.metadata import model_card, usable
from kickbert.targets.kinds import to_dict
from kickbert.text.columns import read_items
from kickbert.utils.extras import installed
from kickbert.utils.hashing import digest
from kickbert.utils.hub import quiet, upload

PACKAGES = ("torch", "transformers", "fastai", "tokenizers", "numpy", "pandas")


def save_artifact(learn: Any, folder: str | Path, evaluation: Any = None) -> Path:
    """Write a learner as a new version of a model.

    Args:
        learn: a learner of `learner_from_df`.
        folder: of all versions of the model; this one becomes `folder/v1`, `v2`, …
        evaluation: what `kickbert.evaluate` returned, for the model card; None for the last epoch's metrics.
    Returns:
        The folder of the version.
    Raises:
        ArtifactError: it could not be written; what was there is unchanged.
        ValueError: classes that JSON cannot hold.
    """
    dls, model = learn.text_dls, learn.model
    plain, sentence = _plain_model(learn)
    info = artifact_metadata(learn, evaluation) | {"plain transformers": plain is not None}

    def fill(part: Path) -> None:
        with quiet():
            dls.tokenizer.hf.save_pretrained(part)
            (plain or model.encoder.body).save_pretrained(part)
            if plain is None:
                labeled_config(model.encoder.body.config, dls.target).save_pretrained(part)
        save_file({k: v.detach().cpu().contiguous() for k, v in model.head.state_dict().items()}, part / HEAD)
        (part / INFO).write_text(json.dumps(info, indent=1, ensure_ascii=False), encoding="utf-8")
        (part / CARD).write_text(model_card(info, sentence), encoding="utf-8")
        if not (part / TOKENIZER).exists():
            raise ArtifactError(f"the tokenizer {type(dls.tokenizer.hf).__name__} writes no {TOKENIZER}")

    return write_artifact(folder, fill)


def _plain_model(learn: Any) -> tuple[PreTrainedModel | None, str]:
    """The learner's model as transformers' own, or None, and a sentence about it for the model card."""
    dls, model = learn.text_dls, learn.model
    training = model.training
    windows = dls.tokenizer.token_encoder.long == "windows"
    temperature = getattr(learn.loss_func, "temperature", 1.0)
    classifier = ProbabilityModel(model, dls.target.task, temperature).eval().cpu()
    plain, sentence = plain_model(classifier, dls.target, windows)
    model.train(training).to(dls.device)
    return plain, sentence


def push_to_hub(
    folder: str | Path, repo: str, token: str | None = None, private: bool | None = None, message: str | None = None
) -> str:
    """Upload a version of a model, which `kickbert.load("user/name")` loads, to the Hugging Face hub.

    Args:
        folder: of the version, or of a model, whose latest version is taken; its files are checked first.
        repo: "user/name"; made where there is none. Files of an earlier version that this one lacks are deleted in it.
        token: with the right to write; None for the one that `hf auth login` kept.
        private: whether a new repository is; None for the account's default.
        message: of the commit; None for the version's name.
    Returns:
        The address of the repository.
    Raises:
        ArtifactError: no artifact, or one that was cut short or changed.
        ValueError: the hub is not reachable, or refuses.
    """
    artifact = read_artifact(folder)
    for name in artifact.manifest:
        if name != CARD:  # people write in it
            artifact.file(name)
    replaced = [f"*{ending}" for ending in (*OF_TRANSFORMERS, ".onnx", ".pt2")]
    return upload(artifact.folder, repo, token, private, message or f"kickbert {artifact.version}", replaced)


def artifact_metadata(learn: Any, evaluation: Any = None) -> dict[str, Any]:
    """What `kickbert.json` says of a learner."""
    dls, model, loss = learn.text_dls, learn.model, learn.loss_func
    head, config, tokens = model.head, model.encoder.body.config, dls.tokenizer.token_encoder
    metrics, judged = _metrics(learn, evaluation)
    thresh = getattr(loss, "thresh", 0.5)
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": dls.target.task,
        "target": to_dict(dls.target),
        "text_col": list(dls.text_col),
        "label_col": dls.label_col if isinstance(dls.label_col, str) else list(dls.label_col),
        "cleaning": dls.cleaner.names if dls.cleaner else None,
        "tokens": tokens.to_dict(),
        "mask": dls.tokenizer.mask_id,
        "pad": config.pad_token_id or 0,
        "encoder": {"model_type": config.model_type, "layers": model.encoder.n_layers, "width": model.encoder.width},
        "head": {
            "pooling": head.pooling,
            "dropout": head.dropout.p,
            "layers": 1 if head.pre_classifier is None else 2,
            "ordinal": not isinstance(head.link, torch.nn.Identity),
            "activation": head.activation,
            "normalize": head.normalize,
        },
        "precision": model.precision,
        "temperature": float(getattr(loss, "temperature", 1.0)),
        "thresholds": thresh.tolist() if isinstance(thresh, np.ndarray) else float(thresh),
        "metrics": metrics,
        "judged on": judged,
        "data": {
            "training rows": len(dls.train_ds),
            "validation rows": len(dls.valid_ds),
            "fingerprint": _fingerprint(dls),
        },
        "versions": {"kickbert": __version__, **installed(PACKAGES)},
    }


def _metrics(learn: Any, evaluation: Any) -> tuple[dict[str, float | None], str]:
    """Scores by name, None for what is undefined, and on which rows."""
    if evaluation is not None:
        scores = dict(zip(evaluation.scores["score"], evaluation.scores["model"], strict=True))
        rows = f"{evaluation.rows:,} rows"
    else:
        fits = learn.history.fits if hasattr(learn, "history") else []
        scores = fits[-1].final if fits else {}
        rows = f"{len(learn.dls.valid_ds):,} validation rows"
    return {name: float(value) if math.isfinite(value) else None for name, value in scores.items()}, rows


def _fingerprint(dls: Any) -> str:
    """A hash of the training rows: the same rows and labels give the same one."""
    ids, *codes = dls.train.rows
    return digest("rows", [ids.flat, ids.offsets, *codes])


def load_classifier(artifact: Artifact) -> TextClassifier:
    """The encoder and head of an artifact, in fp32 and evaluation mode.

    Raises:
        ArtifactError: a file was cut short or changed, or lacks weights.
    """
    with usable(artifact.folder / WEIGHTS, Exception):  # errors of transformers, safetensors and torch
        encoder = load_encoder(artifact.folder_for_transformers())
    with usable(artifact.folder / HEAD, Exception):
        head = Head(encoder.width, len(artifact.target.names), **artifact.metadata["head"])
        head.load_state_dict(load_file(artifact.file(HEAD)))
    return TextClassifier(encoder, head).eval()


class ArtifactPipeline(TextClassificationPipeline):
    """transformers' pipeline of an artifact whose head transformers cannot express.

    `pipeline("text-classification", folder, pipeline_class=ArtifactPipeline)` takes a string, or a dict of several
    columns. transformers has made a head at random by then, and says so; the artifact's own takes its place.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.artifact = read_artifact(self.model.name_or_path)
        task, temperature = (self.artifact.metadata[name] for name in ("task", "temperature"))
        self.classifier = ProbabilityModel(load_classifier(self.artifact), task, temperature).eval().to(self.device)

    def preprocess(self, inputs: Any, **_: Any) -> dict[str, Tensor]:
        """Token ids as the artifact makes them, one row, or one for each window."""
        texts, _ = read_items([inputs], self.artifact.metadata["text_col"], self.artifact.cleaner)
        rows = [torch.from_numpy(row).long() for row in self.artifact.token_encoder.encode_documents(texts)[0]]
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        ids = pad_sequence(rows, batch_first=True, padding_value=self.artifact.metadata["pad"])
        return {"input_ids": ids, "attention_mask": mask}

    def _forward(self, model_inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        ids, weights = model_inputs["input_ids"], None
        if self.artifact.token_encoder.long == "windows":
            weights = torch.full((1, len(ids)), 1 / len(ids), device=ids.device)
        return {"logits": self.classifier(ids, model_inputs["attention_mask"], weights)}

    def postprocess(self, model_outputs: dict[str, Tensor], function_to_apply: Any = None, **kwargs: Any) -> Any:
        """Labels and probabilities."""
        return super().postprocess(model_outputs, ClassificationFunction.NONE, **kwargs)
