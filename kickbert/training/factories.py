"""Learners from a DataFrame, from DataLoaders, and from an artifact."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.torch_core import default_device, set_seed
from transformers import PreTrainedTokenizerBase

from kickbert.cache.storage import Cache
from kickbert.data.dataloaders import TextDataLoaders
from kickbert.data.imbalance import class_weights as class_weights_of
from kickbert.data.rows import TextRows
from kickbert.data.splits import valid_rows
from kickbert.data.transforms import TextTokenizer, load_tokenizer
from kickbert.models.artifact.loading import load_classifier
from kickbert.models.artifact.manifest import INFO
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import Encoder, load_config, load_encoder
from kickbert.models.head import Head
from kickbert.models.hf_conversion import checkpoint_head, keeps_head, unused_head, why_not_portable
from kickbert.models.pooling import sentence_pooling
from kickbert.tabular.columns import TEXT_ALONE, Names
from kickbert.targets.options import Format, TargetOptions
from kickbert.text.augmentation import Augmenter
from kickbert.text.cleaning import Cleaner
from kickbert.text.cleaning_steps import Step
from kickbert.training.distributed import join
from kickbert.training.learner import GradualLearner
from kickbert.training.losses import loss_for
from kickbert.training.metrics import metrics_for
from kickbert.training.optimizers import optimizer_by_name
from kickbert.utils.devices import choose_precision, describe_device, limit_threads, usable_device
from kickbert.utils.hub import choose_model
from kickbert.utils.progress import say


def learner_from_df(
    df: pd.DataFrame,
    *,
    text_col: str | Sequence[str] = "text",
    label_col: str | Sequence[str] = "label",
    cat_names: Names = None,
    cont_names: Names = None,
    date_names: Names = None,
    model: str | Path | None = None,
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    bins: int | Sequence[float] | None = None,
    bin_format: Format = None,
    label_delim: str | None = None,
    labels: Sequence[Any] | None = None,
    decimal: str | None = None,
    task: str | None = None,
    cleaning: str | Sequence | Cleaner | None = None,
    augment: Augmenter | None = None,
    valid: float | str | Sequence | None = 0.15,
    max_length: int | None = None,
    long: str = "truncate",
    stride: int = 32,
    bs: int | None = None,
    pooling: str | None = None,
    dropout: float = 0.1,
    encoder_dropout: float = 0.0,
    head_layers: int = 1,
    head: str | None = None,
    portable: bool = False,
    loss: str | Callable | None = None,
    class_weights: str | Mapping[Any, float] | None = None,
    sampling: str | None = None,
    optimizer: str | Callable = "adamw",
    lr: float = 1e-4,
    wd: float = 0.01,
    seed: int | None = 42,
    precision: str = "auto",
    device: str | torch.device | None = None,
    cache: bool | Cache = True,
    schedule: Mapping[str, Any] | None = None,
    metrics: Any = None,
    cbs: Any = None,
    path: str | Path = ".",
) -> GradualLearner:
    """Make a learner that predicts a column of a DataFrame from its texts.

    It is `TextDataLoaders.from_df` and `text_learner` in one step.

    Args:
        df: the rows; never changed.
        text_col, label_col, cat_names, cont_names, date_names, model, tokenizer, revision, trust_remote_code, bins,
            bin_format, label_delim, labels, decimal, task, cleaning, augment, valid, max_length, long, stride, bs,
            sampling: as in `TextDataLoaders.from_df`.
        pooling, dropout, encoder_dropout, head_layers, head, portable, loss, class_weights, optimizer, lr, wd,
            precision, device, cache, schedule, metrics, cbs: as in `text_learner`.
        seed: makes runs on the same machine identical; it sets the seeds of Python, NumPy and torch. None does not set
            them.
        path: folder of checkpoints, in a subfolder `models`.
    Returns:
        A fastai Learner with all layers trainable; `fit_gradual()` trains it.
    Raises:
        ValueError, TypeError: an invalid argument; the message says what is allowed.
    """
    join()  # before a device is chosen: each process has its own GPU
    model = choose_model(model)
    load_config(model, revision=revision or "main", trust_remote_code=trust_remote_code)  # is the model supported?
    dls = TextDataLoaders.from_df(
        df, text_col=text_col, label_col=label_col, cat_names=cat_names, cont_names=cont_names, date_names=date_names,
        model=model, tokenizer=tokenizer, revision=revision,
        trust_remote_code=trust_remote_code, bins=bins, bin_format=bin_format, label_delim=label_delim, labels=labels,
        decimal=decimal, task=task, cleaning=cleaning, augment=augment, valid=valid, max_length=max_length, long=long,
        stride=stride, bs=bs, sampling=sampling, seed=seed, path=path,
    )  # fmt: skip
    return text_learner(
        dls,
        model=model,
        revision=revision,
        trust_remote_code=trust_remote_code,
        pooling=pooling,
        dropout=dropout,
        encoder_dropout=encoder_dropout,
        head_layers=head_layers,
        head=head,
        portable=portable,
        loss=loss,
        class_weights=class_weights,
        optimizer=optimizer,
        lr=lr,
        wd=wd,
        seed=seed,
        precision=precision,
        device=device,
        cache=cache,
        schedule=schedule,
        metrics=metrics,
        cbs=cbs,
    )


def learner_from_rows(
    rows: TextRows,
    train: np.ndarray,
    held: np.ndarray,
    *,
    model: str | Path | None = None,
    augment: Augmenter | None = None,
    bs: int | None = None,
    sampling: str | None = None,
    seed: int | None = 42,
    path: str | Path = ".",
    **options: Any,
) -> GradualLearner:
    """Make a learner from rows that were read before, such as those of all folds.

    Args:
        rows: the rows, each tokenized once.
        train, held: masks of the training rows and the validation rows, bool, shape (n,).
        model, augment, bs, sampling, seed, path: as in `learner_from_df`.
        options: other arguments of `text_learner`.
    """
    join()
    if seed is not None:
        set_seed(seed)
    split = rows.split(train, held)
    model = choose_model(model)
    dls = TextDataLoaders.from_split(
        split, model=model, augment=augment, bs=bs, sampling=sampling, seed=seed, path=path
    )
    return text_learner(dls, model=model, seed=seed, **options)


def text_learner(
    dls: TextDataLoaders,
    *,
    model: str | Path | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    pooling: str | None = None,
    dropout: float = 0.1,
    encoder_dropout: float = 0.0,
    head_layers: int = 1,
    head: str | None = None,
    portable: bool = False,
    loss: str | Callable | None = None,
    class_weights: str | Mapping[Any, float] | None = None,
    optimizer: str | Callable = "adamw",
    lr: float = 1e-4,
    wd: float = 0.01,
    seed: int | None = 42,
    precision: str = "auto",
    device: str | torch.device | None = None,
    cache: bool | Cache = True,
    schedule: Mapping[str, Any] | None = None,
    metrics: Any = None,
    cbs: Any = None,
) -> GradualLearner:
    """Make a learner from DataLoaders of texts.

    Args:
        dls: from `TextDataLoaders.from_df`.
        model, revision, trust_remote_code: the pretrained encoder, as in `TextDataLoaders.from_df`; None for the one
            that the texts were tokenized for.
        pooling: "cls", "mean", "max" or "attention"; None for the one that a sentence encoder was trained with, or
            else "cls".
        dropout, encoder_dropout: dropout probability in the head, and in encoder layers that train.
        head_layers: 1, or 2 for a hidden layer.
        head: "checkpoint" to keep the head of a model that was fine-tuned for the same classes; None for a new one.
        portable: whether transformers' `pipeline` must be able to load what `save_artifact` writes: the first token
            is then pooled, even for a sentence encoder.
        loss: "cross_entropy", "label_smoothing" or "focal"; with several labels "bce", "focal" or "asymmetric"; for a
            number "mse", "mae" or "huber"; or a function of logits and codes. None for the first of each.
        class_weights: class weights of the loss: "balanced", or a dict from class to weight.
        optimizer: "adamw", "lamb", "adafactor" or "radam", or a fastai `opt_func`.
        lr, wd: default learning rate of fastai's own fit methods (`fit_gradual` has its own), and weight decay.
        seed: makes runs on the same machine identical; it sets the seeds of Python, NumPy and torch. None does not set
            them.
        precision: "auto", "bf16" or "fp32".
        device: such as "cuda:1"; None for a GPU if there is one.
        cache: whether to compute the frozen part of the encoder once; a `kickbert.Cache` sets where its states are
            stored and how many.
        schedule: arguments of `gradual_unfreezing`, which `fit_gradual` uses if it gets no phases.
        metrics: fastai metrics; None for accuracy and macro-F1, and quadratic kappa for bins.
        cbs: fastai callbacks, and run logs by name: "tensorboard", "wandb", "mlflow", "csv". With several labels,
            gradients are also clipped to a norm of 1.
    Returns:
        A fastai Learner with all layers trainable; `fit_gradual()` trains it.
    Raises:
        ValueError: an invalid argument; the message says what is allowed.
    """
    join()
    if seed is not None:
        set_seed(seed)  # new weights of the head, and the random numbers of fastai's own fit methods
    model = _model_of(dls, model)
    hub: dict[str, Any] = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
    limit_threads()
    device = default_device() if device is None else usable_device(device)
    dls.device = device
    target = dls.target
    encoder = load_encoder(model, encoder_dropout, **hub)
    encoder.pair_separator = dls.tokenizer.pair_separator
    precision = choose_precision(precision, device)
    say(f"{target.describe()}; {describe_device(device, precision)}")
    if head is None:
        pooling = pooling or ("cls" if portable else sentence_pooling(model, hub["revision"]) or "cls")
        _say_unused_head(model, encoder)
        module = Head(encoder.width, len(target.names), pooling, dropout, head_layers, ordinal=target.is_ordered)
    else:
        _check_checkpoint_head(head, model, pooling, head_layers)
        module = checkpoint_head(model, encoder, target, dropout, dls.in_order, **hub)
    windows = dls.tokenizer.token_encoder.long == "windows"
    if portable and (reason := why_not_portable(encoder.body.config.model_type, module, target, windows)):
        raise ValueError(f"portable=True is not possible: transformers {reason}. Omit portable")
    classifier = TextClassifier(encoder, module, precision).to(device)
    weights = class_weights_of(class_weights, target, dls.train.rows[1].numpy())
    return GradualLearner(
        dls,
        classifier,
        loss_for(target, loss, None if weights is None else torch.from_numpy(weights).to(device)),
        seed=seed,
        cache=cache,
        schedule=schedule,
        lr=lr,
        wd=wd,
        opt_func=optimizer_by_name(optimizer),
        metrics=metrics_for(target) if metrics is None else metrics,
        cbs=cbs,
        path=Path(dls.path),
    )


def _model_of(dls: TextDataLoaders, model: str | Path | None) -> str | Path:
    """Return the model that the texts were tokenized for.

    Raises:
        ValueError: `model` is a different one, or none is known.
    """
    if model is None:
        if dls.model is None:
            raise ValueError("The DataLoaders do not name a model. Pass model= to text_learner")
        return dls.model
    if dls.model is not None and str(dls.model) != str(model):
        raise ValueError(
            f"text_learner has model={str(model)!r}, but the texts were tokenized for {str(dls.model)!r}. Omit "
            "model, or pass the same one to TextDataLoaders.from_df"
        )
    return model


def _say_unused_head(model: str | Path, encoder: Encoder) -> None:
    """Print a line about a head of the checkpoint that a new one replaces."""
    config = encoder.body.config
    if unused := unused_head(config):
        advice = "head='checkpoint' keeps it" if keeps_head(config) else "a new one is trained"
        if (Path(model).expanduser() / INFO).exists():
            advice = "kickbert.learner_from_artifact continues with it"
        say(f"the head of {str(model)!r} is not used ({unused}); {advice}")


def _check_checkpoint_head(head: str, model: str | Path, pooling: str | None, layers: int) -> None:
    """Check the options for keeping the head of a checkpoint.

    Raises:
        ValueError: an unknown value of `head`, or options that contradict it.
    """
    if head != "checkpoint":
        raise ValueError(f"head={head!r} is not 'checkpoint'; leave it out for a new head")
    if (Path(model).expanduser() / INFO).exists():
        raise ValueError(f"model={str(model)!r} is an artifact; kickbert.learner_from_artifact continues with its head")
    if pooling not in (None, "cls") or layers != 1:
        raise ValueError("head='checkpoint' pools by 'cls' and has its own layers; leave out pooling and head_layers")


def learner_from_artifact(
    folder: str | Path,
    df: pd.DataFrame,
    *,
    functions: Sequence[Step] = (),
    loss: str | Callable | None = None,
    precision: str = "auto",
    valid: float | str | Sequence | None = 0.15,
    bs: int | None = None,
    seed: int | None = 42,
    cache: bool | Cache = True,
    cbs: Any = None,
    path: str | Path = ".",
) -> GradualLearner:
    """Make a learner that continues from an artifact, on rows with the same columns.

    Args:
        folder: folder of a version, or of a model (its latest version is used).
        df: the rows; rows with a class that the artifact does not have are skipped.
        functions: your own cleaning steps that the artifact was trained with.
        loss, precision, valid, bs, seed, cache, cbs, path: as in `learner_from_df`.
    Raises:
        ArtifactError: no artifact, or one that is incomplete, changed, or of a newer format.
    """
    join()
    artifact = read_artifact(folder, functions)
    info = artifact.metadata
    target = artifact.target
    device = default_device()
    model = load_classifier(artifact)
    model.precision = choose_precision(precision, device)
    loss_func: Any = loss_for(target, loss)
    loss_func.temperature = info["temperature"]
    if target.is_multilabel:
        loss_func.thresh = artifact.thresholds
    lengths = {name: info["tokens"][name] for name in ("max_length", "long", "stride")}
    tokenizer = TextTokenizer(load_tokenizer(artifact.folder), **lengths)
    tokenizer.token_encoder = artifact.token_encoder  # the one that the artifact was trained with
    column = TargetOptions(info["label_col"], target=target)
    rows = TextRows.from_df(
        df,
        tokenizer,
        column,
        text_col=info["text_col"],
        cleaning=artifact.cleaner,
        columns=artifact.columns or TEXT_ALONE,
    )
    train, held = valid_rows(rows.df, valid, rows.column.strata, rows.texts, seed)
    dls = TextDataLoaders.from_split(rows.split(train, held), bs=bs, seed=seed, path=path)
    return GradualLearner(
        dls,
        model.to(device),
        loss_func,
        seed=seed,
        cache=cache,
        metrics=metrics_for(target),
        cbs=cbs,
        path=Path(path).expanduser(),
    )
