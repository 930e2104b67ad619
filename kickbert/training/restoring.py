"""An artifact and further rows to what a learner is made of: it goes on where the artifact was saved."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.torch_core import default_device

from kickbert.data.dataloaders import dataloaders_from_df
from kickbert.data.transforms import TextTokenizer, load_tokenizer
from kickbert.models.artifact import read_artifact
from kickbert.models.saving import load_classifier
from kickbert.targets.kinds import MULTI
from kickbert.text.cleaning_steps import Step
from kickbert.training.losses import loss_for
from kickbert.training.metrics import metrics_for
from kickbert.utils.hardware import choose


def restored(
    folder: str | Path,
    df: pd.DataFrame,
    *,
    functions: Sequence[Step] = (),
    loss: str | Callable | None = None,
    precision: str = "auto",
    valid: float | str | Sequence = 0.15,
    bs: int = 32,
    seed: int | None = 42,
    path: str | Path = ".",
    **kwargs: Any,
) -> dict[str, Any]:
    """The arguments of `GradualLearner`, as `GradualLearner.from_artifact` says."""
    artifact = read_artifact(folder, functions)
    info, target, device = artifact.info, artifact.target, default_device()
    how = {name: info["framing"][name] for name in ("max_length", "long", "stride")}
    tokenizer = TextTokenizer(load_tokenizer(artifact.folder), **how)
    columns = {"text_col": info["text_col"], "label_col": info["label_col"], "target": target}
    rows = {"cleaning": artifact.cleaner, "valid": valid, "bs": bs, "seed": seed, "path": path, "device": device}
    model, made = load_classifier(artifact), loss_for(target.task, loss)
    model.precision = choose(precision, device)
    made.temperature = info["temperature"]
    if target.task == MULTI:
        made.thresh = artifact.thresholds
    return {
        "dls": dataloaders_from_df(df, tokenizer, **columns, **rows),
        "model": model.to(device),
        "loss_func": made,
        "seed": seed,
        "path": Path(path),
        "metrics": metrics_for(target),
        **kwargs,
    }
