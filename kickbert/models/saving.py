"""A learner to an artifact, and an artifact to its model.

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

from kickbert import __version__
from kickbert.models.artifact import CARD, HEAD, INFO, TOKENIZER, WEIGHTS, Artifact, ArtifactError, write_artifact
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head
from kickbert.models.hf_conversion import plain_model
from kickbert.models.metadata import usable
from kickbert.models.model_card import model_card
from kickbert.models.probability_model import ProbabilityModel
from kickbert.targets.kinds import to_dict
from kickbert.utils.extras import installed
from kickbert.utils.hashing import digest
from kickbert.utils.hub import quiet

PACKAGES = ("torch", "transformers", "fastai", "tokenizers", "numpy", "pandas")


def save_artifact(learn: Any, folder: str | Path, evaluation: Any = None) -> Path:
    """Write a learner as a new version of a model.

    Args:
        learn: a learner of `learner_from_df`.
        folder: of all versions of the model; this one becomes `folder/v1`, `v2`, …
        evaluation: what `kickbert.evaluate` found, for the model card; None for the last epoch's metrics.
    Returns:
        The folder of the version.
    Raises:
        ArtifactError: it could not be written; what was there is unchanged.
        ValueError: classes that JSON cannot hold.
    """
    dls, model = learn.dls, learn.model
    windows = dls.tokenizer.token_encoder.long == "windows"
    training = model.training
    probability_model = ProbabilityModel(model, dls.target.task, getattr(learn.loss_func, "temperature", 1.0)).eval()
    plain, sentence = plain_model(probability_model.cpu(), dls.target, windows)
    model.train(training).to(dls.device)
    info = artifact_metadata(learn, evaluation) | {"plain transformers": plain is not None}

    def fill(part: Path) -> None:
        with quiet():
            dls.tokenizer.hf.save_pretrained(part)
            (plain or model.encoder.body).save_pretrained(part)
        save_file({k: v.detach().cpu().contiguous() for k, v in model.head.state_dict().items()}, part / HEAD)
        (part / INFO).write_text(json.dumps(info, indent=1, ensure_ascii=False), encoding="utf-8")
        (part / CARD).write_text(model_card(info, sentence), encoding="utf-8")
        if not (part / TOKENIZER).exists():
            raise ArtifactError(f"the tokenizer {type(dls.tokenizer.hf).__name__} writes no {TOKENIZER}")

    return write_artifact(folder, fill)


def artifact_metadata(learn: Any, evaluation: Any = None) -> dict[str, Any]:
    """What `kickbert.json` says of a learner."""
    dls, model, loss = learn.dls, learn.model, learn.loss_func
    head, config, framing = model.head, model.encoder.body.config, dls.tokenizer.token_encoder
    metrics, judged = _metrics(learn, evaluation)
    thresh = getattr(loss, "thresh", 0.5)
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": dls.target.task,
        "target": to_dict(dls.target),
        "text_col": list(dls.text_col),
        "label_col": dls.label_col if isinstance(dls.label_col, str) else list(dls.label_col),
        "cleaning": dls.cleaner.names if dls.cleaner else None,
        "framing": framing.to_dict(),
        "mask": dls.tokenizer.mask_id,
        "pad": config.pad_token_id or 0,
        "encoder": {"model_type": config.model_type, "layers": model.encoder.n_layers, "width": model.encoder.width},
        "head": {
            "pooling": head.pooling,
            "dropout": head.dropout.p,
            "layers": 1 if head.pre_classifier is None else 2,
            "ordinal": not isinstance(head.link, torch.nn.Identity),
            "activation": head.activation,
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
        scores = dict(zip(fits[-1].names, fits[-1].values[-1], strict=True)) if fits else {}
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
    with usable(artifact.folder / WEIGHTS, Exception):  # of transformers, safetensors and torch
        encoder = load_encoder(artifact.folder_for_transformers())
    with usable(artifact.folder / HEAD, Exception):
        head = Head(encoder.width, len(artifact.target.names), **artifact.metadata["head"])
        head.load_state_dict(load_file(artifact.file(HEAD)))
    return TextClassifier(encoder, head).eval()
