"""`kickbert.json`: its required entries, and their values for a learner."""

import datetime
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kickbert import __version__
from kickbert.utils.extras import installed
from kickbert.utils.hashing import digest

if TYPE_CHECKING:
    from kickbert.evaluation.evaluation import Evaluation
    from kickbert.models.encoder import Encoder
    from kickbert.training.learner import GradualLearner

NUMBER = (int, float)
METADATA = {
    "created": str,
    "task": str,
    "target": {"kind": str},
    "text_col": list,
    "label_col": (str, list),
    "cleaning": (list, type(None)),
    "tokens": {"start": list, "between": list, "end": list, "max_length": int, "long": str, "stride": int},
    "mask": int,
    "pad": int,
    "encoder": {"model_type": str},
    "head": {"pooling": str},
    "temperature": NUMBER,
    "thresholds": (*NUMBER, list),
    "data": dict,
    "versions": dict,
}
PACKAGES = ("torch", "transformers", "fastai", "tokenizers", "numpy", "pandas")


def learner_metadata(learn: "GradualLearner", evaluation: "Evaluation | None" = None) -> dict[str, Any]:
    """Describe a learner as `kickbert.json` does.

    Args:
        learn: the learner.
        evaluation: the result of `kickbert.evaluate`; None for the metrics of the last epoch.
    """
    dls, model, loss = learn.text_dls, learn.model, learn.loss_func
    config = model.encoder.body.config
    metrics, rows = _metrics(learn, evaluation)
    thresholds = getattr(loss, "thresh", 0.5)
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": dls.target.task,
        "target": dls.target.to_dict(),
        "text_col": list(dls.text_col),
        "label_col": dls.label_col if isinstance(dls.label_col, str) else list(dls.label_col),
        **({} if dls.columns is None else {"columns": dls.columns.to_dict()}),
        "cleaning": dls.cleaner.names if dls.cleaner else None,
        "tokens": dls.tokenizer.token_encoder.to_dict(),
        "mask": dls.tokenizer.mask_id,
        "pad": config.pad_token_id or 0,
        "encoder": _encoder(dls.model, model.encoder),
        "head": model.head.options(),
        "precision": model.precision,
        "temperature": float(getattr(loss, "temperature", 1.0)),
        "thresholds": thresholds.tolist() if isinstance(thresholds, np.ndarray) else float(thresholds),
        "metrics": metrics,
        "evaluated on": rows,
        "data": {
            "training rows": len(dls.train_ds),
            "validation rows": len(dls.valid_ds),
            "fingerprint": _fingerprint(dls),
        },
        "versions": {"kickbert": __version__, **installed(PACKAGES)},
    }


def _encoder(name: str | Path | None, encoder: "Encoder") -> dict[str, Any]:
    """Describe an encoder: the model it was loaded from if known (of a folder, without the path), type and size."""
    known = {} if name is None else {"name": Path(name).name if Path(name).is_dir() else str(name)}
    return known | {"model_type": encoder.body.config.model_type, "layers": encoder.n_layers, "width": encoder.width}


def _metrics(learn: "GradualLearner", evaluation: "Evaluation | None") -> tuple[dict[str, float | None], str]:
    """Return scores by name, None if undefined, and the rows that they were computed on."""
    if evaluation is not None:
        scores = dict(zip(evaluation.scores["score"], evaluation.scores["model"], strict=True))
        rows = f"{evaluation.rows:,} rows"
    else:
        fits = learn.history.fits if hasattr(learn, "history") else []
        scores = fits[-1].final if fits else {}
        rows = f"{len(learn.dls.valid_ds):,} validation rows"
    return {name: float(value) if math.isfinite(value) else None for name, value in scores.items()}, rows


def _fingerprint(dls: Any) -> str:
    """Hash the training rows and labels."""
    ids, *codes = dls.train.rows
    return digest("rows", [ids.flat, ids.offsets, *codes])


def flat_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Flatten the metadata to one level, for a report's table or a tracked run's parameters.

    Args:
        metadata: the metadata of an artifact, or of a learner or predictor (`model.metadata`).
    """
    kept = ("created", "task", "text_col", "label_col", "cleaning", "temperature", "precision", "backend")
    flat = {name: metadata[name] for name in kept if name in metadata}
    for part in ("encoder", "head", "tokens", "data"):
        flat |= {f"{part}: {key}": value for key, value in metadata[part].items()}
    return flat | metadata["versions"]


def encoder_name(encoder: dict[str, Any]) -> str:
    """Describe the encoder of a `kickbert.json` in a few words.

    >>> encoder_name({"model_type": "bert", "layers": 6, "width": 384})
    'bert, 6 layers'
    """
    return f"{encoder['model_type']}, {encoder['layers']} layers"
