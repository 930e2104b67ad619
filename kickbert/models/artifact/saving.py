"""Save a learner: tokenizer, weights, metadata and card become a new version of a model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file
from transformers import PreTrainedModel

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.manifest import CARD, COLUMNS, HEAD, INFO, TOKENIZER
from kickbert.models.artifact.metadata import learner_metadata
from kickbert.models.artifact.model_card import model_card
from kickbert.models.artifact.versions import write_artifact
from kickbert.models.classifier import ProbabilityModel
from kickbert.models.hf_conversion import labeled_config, plain_model
from kickbert.utils.hub import quiet

if TYPE_CHECKING:
    from kickbert.evaluation.evaluation import Evaluation
    from kickbert.training.learner import GradualLearner


def save_artifact(learn: "GradualLearner", folder: str | Path, evaluation: "Evaluation | None" = None) -> Path:
    """Write a learner as a new version of a model.

    Args:
        learn: the learner.
        folder: the folder of all versions of the model; this one becomes `folder/v1`, `v2`, …
        evaluation: the result of `kickbert.evaluate`, for the model card; None for the metrics of the last epoch.
    Returns:
        The folder of the version.
    Raises:
        ArtifactError: it could not be written; earlier versions are unchanged.
        ValueError: classes that JSON cannot represent.
    """
    dls, model = learn.text_dls, learn.model
    plain, sentence = _plain_model(learn)
    info = learner_metadata(learn, evaluation) | {"plain transformers": plain is not None}

    def fill(part: Path) -> None:
        with quiet():
            dls.tokenizer.hf.save_pretrained(part)
            (plain or model.encoder.body).save_pretrained(part)
            if plain is None:
                labeled_config(model.encoder.body.config, dls.target).save_pretrained(part)
        if dls.columns is not None:
            save_arrays({k: np.ascontiguousarray(v) for k, v in dls.columns.to_arrays().items()}, part / COLUMNS)
        save_file({k: v.detach().cpu().contiguous() for k, v in model.head.state_dict().items()}, part / HEAD)
        (part / INFO).write_text(json.dumps(info, indent=1, ensure_ascii=False), encoding="utf-8")
        (part / CARD).write_text(model_card(info, sentence), encoding="utf-8")
        if not (part / TOKENIZER).exists():
            raise ArtifactError(f"The tokenizer {type(dls.tokenizer.hf).__name__} writes no {TOKENIZER}")

    return write_artifact(folder, fill)


def _plain_model(learn: "GradualLearner") -> tuple[PreTrainedModel | None, str]:
    """The learner's model as a plain transformers model, or None; and a sentence about it for the model card."""
    dls, model = learn.text_dls, learn.model
    if dls.columns is not None:
        return None, ""
    training = model.training
    temperature = getattr(learn.loss_func, "temperature", 1.0)
    classifier = ProbabilityModel(model, dls.target, temperature).eval().cpu()
    plain, sentence = plain_model(classifier, dls.target, windows=dls.tokenizer.token_encoder.long == "windows")
    model.train(training).to(dls.device)
    return plain, sentence
