"""Factories of `GradualLearner`: from a DataFrame, and from an artifact."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from fastai.torch_core import default_device, set_seed
from transformers import PreTrainedTokenizerBase

from kickbert.cache.storage import Cache
from kickbert.data.dataloaders import dataloaders_from_df
from kickbert.data.imbalance import class_weights as class_weights_of
from kickbert.data.transforms import TextTokenizer, check_fast, load_tokenizer
from kickbert.models.artifact.loading import load_classifier
from kickbert.models.artifact.manifest import INFO
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import Encoder, load_config, load_encoder
from kickbert.models.head import Head
from kickbert.models.hf_conversion import checkpoint_head, keeps_head, unused_head, why_not_portable
from kickbert.models.pooling import sentence_pooling
from kickbert.targets.base import Target
from kickbert.targets.binning import Format
from kickbert.targets.options import TargetOptions
from kickbert.text.augmentation import Augmenter
from kickbert.text.cleaning import Cleaner
from kickbert.text.cleaning_steps import Step
from kickbert.text.columns import TextOptions
from kickbert.training.distributed import join
from kickbert.training.learner import GradualLearner
from kickbert.training.losses import loss_for
from kickbert.training.metrics import metrics_for
from kickbert.training.schedule import optimizer_by_name
from kickbert.utils.devices import choose_precision, describe_device, usable_device
from kickbert.utils.progress import say


def learner_from_df(
    df: pd.DataFrame,
    *,
    text_col: str | Sequence[str] = "text",
    label_col: str | Sequence[str] = "label",
    model: str | Path = "roberta-base",
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
    bs: int = 32,
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

    Args:
        df: the rows; never changed.
        text_col: the text column, or several, which are joined with the tokenizer's separator.
        label_col: the target; several columns of zeros and ones are several labels.
        model: hub id, folder written by `save_pretrained`, or "minilm", which needs no network.
        tokenizer: a fast one, or its hub id or folder; None for the model's own.
        revision: branch, tag or commit of the model on the hub.
        trust_remote_code: whether Python code that a model brings is run.
        bins: for a numeric target: a number of quantile buckets, of the training rows, or the inner edges.
        bin_format: how edges are written in class names: a unit such as "$", or a function of the number.
        label_delim: what stands between the labels of a cell, if a row may have several; lists of labels need none, nor
            do multi-hot lists of zeros and ones.
        labels: the classes in order, the names of a multi-hot list's places, or of `bins`; None for what the rows hold.
        decimal: the decimal mark of a number kept as text, "." or ","; None where no cell leaves it open.
        task: "single label", "multi-label", "ordinal" or "regression"; None for what the target looks like.
        cleaning: steps done to each text, in training and prediction: names, functions, a `Cleaner`, or "auto".
        augment: makes variants of the training texts, such as `kickbert.EDA()`; validation texts are never touched.
        valid: share of the rows to validate on (stratified), a column, or row labels (`kickbert.split`); None for none.
        max_length: most tokens a row may have; None for the model's limit, at most 512.
        long: what becomes of a longer text: "truncate" keeps its head, "tail" and "head+tail" what they say; "windows"
            reads all of it in pieces of `max_length` tokens, pooled to one prediction.
        stride: tokens that two windows next to one another share.
        bs: rows a training batch; validation takes twice as many.
        pooling: "cls", "mean", "max" or "attention"; None for the one a sentence encoder was trained with, else "cls".
        dropout, encoder_dropout: share of units dropped in training, in the head and in the layers that train.
        head_layers: 1, or 2 for a hidden layer.
        head: "checkpoint" to keep the head of a `model` that was fine-tuned for the same classes; None for a new one.
        portable: whether transformers' `pipeline` alone is to load what `save_artifact` writes: then the first token is
            pooled, where a sentence encoder's would be the mean.
        loss: "cross_entropy", "label_smoothing" or "focal"; for several labels "bce", "focal" or "asymmetric"; for a
            number "mse", "mae" or "huber"; or a function of logits and true codes. None for the first of each.
        class_weights: in the loss: "balanced", or a dict of class and weight.
        sampling: "balanced" to draw each class equally often; None for each row once an epoch.
        optimizer: "adamw", "lamb", "adafactor" or "radam", or a fastai `opt_func`.
        lr, wd: default learning rate of fastai's own fit methods (`fit_gradual` has its own), and weight decay.
        seed: makes two runs on one machine equal; it sets the seeds of Python, NumPy and torch. None leaves them alone.
        precision: "auto", "bf16" or "fp32".
        device: that computes, such as "cuda:1"; None for a GPU where there is one.
        cache: whether the frozen part of the encoder is computed once and kept; a `kickbert.Cache` says where and how
            much of it.
        schedule: arguments of `gradual_unfreezing`, by which `fit_gradual` goes where it is given no phases.
        metrics: fastai metrics; None for accuracy and macro-F1, and quadratic kappa for bins.
        cbs: fastai callbacks, and run logs by name: "tensorboard", "wandb", "mlflow", "csv"; for several labels
            gradients are clipped to a norm of 1 as well.
        path: where checkpoints go, in a folder `models`.
    Returns:
        A fastai Learner with everything trainable; `fit_gradual()` is the way to train it.
    Raises:
        ValueError, TypeError: what cannot be used, with what is there and what to do.
    """
    if seed is not None:
        set_seed(seed)  # the order of the batches, the head's first weights, and what fastai's own fit methods draw
    text = TextOptions(text_col, cleaning, max_length, long, stride)
    column = TargetOptions(label_col, bins, bin_format, label_delim, task, labels, decimal)
    join()  # before the device is asked for: each process has a GPU of its own
    device = default_device() if device is None else usable_device(device)
    hub = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
    lengths = {"max_length": max_length, "long": long, "stride": stride}
    encoder, tokens = encoder_with_tokenizer(model, encoder_dropout, tokenizer, hub, **lengths)
    rows = {"valid": valid, "sampling": sampling, "augment": augment, "bs": bs, "seed": seed}
    dls = dataloaders_from_df(df, tokens, text, column, **rows, path=path, device=device)
    target = dls.target
    precision = choose_precision(precision, device)
    say(f"{target.describe()}; {describe_device(device, precision)}")
    pooling = pooling or (None if head else "cls" if portable else sentence_pooling(model, hub["revision"]) or "cls")
    options = {"pooling": pooling, "dropout": dropout, "layers": head_layers}
    head_module = _head(head, model, encoder, target, labels is not None, hub, **options)
    if portable and (
        reason := why_not_portable(encoder.body.config.model_type, head_module, target, long == "windows")
    ):
        raise ValueError(f"portable=True is not possible: transformers {reason}. Omit portable")
    classifier = TextClassifier(encoder, head_module, precision).to(device)
    weights = class_weights_of(class_weights, target, dls.train.rows[1].numpy())
    loss_func = loss_for(target.task, loss, None if weights is None else torch.from_numpy(weights).to(device))
    return GradualLearner(
        dls,
        classifier,
        loss_func,
        seed=seed,
        cache=cache,
        schedule=schedule,
        lr=lr,
        wd=wd,
        opt_func=optimizer_by_name(optimizer),
        metrics=metrics_for(target) if metrics is None else metrics,
        cbs=cbs,
        path=Path(path),
    )


def _head(
    head: str | None,
    model: str | Path,
    encoder: Encoder,
    target: Target,
    in_order: bool,
    hub: Mapping[str, Any],
    *,
    pooling: str | None,
    dropout: float,
    layers: int,
) -> Head:
    """The model's own head, or a new one; then a head that the model has and that is not used is named.

    Raises:
        ValueError: another value of `head`, or options that the model's own head does not leave open.
    """
    config, artifact = encoder.body.config, (Path(model) / INFO).exists()
    if head not in (None, "checkpoint"):
        raise ValueError(f"head={head!r} is not 'checkpoint'; leave it out for a new head")
    if head is None:
        if unused := unused_head(config):
            kept = "head='checkpoint' keeps it" if keeps_head(config) else "a new one is trained"
            kept = "GradualLearner.from_artifact goes on with it" if artifact else kept
            say(f"the head of {str(model)!r} is not used ({unused}); {kept}")
        return Head(encoder.width, len(target.names), pooling, dropout, layers, ordinal=target.is_ordered)
    if artifact:
        raise ValueError(f"model={str(model)!r} is an artifact; GradualLearner.from_artifact goes on with its head")
    if pooling not in (None, "cls") or layers != 1:
        raise ValueError("head='checkpoint' pools by 'cls' and has its own layers; leave out pooling and head_layers")
    return checkpoint_head(model, encoder, target, dropout, in_order, **hub)


def encoder_with_tokenizer(
    model: str | Path,
    dropout: float = 0.0,
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    hub: Mapping[str, Any] | None = None,
    **lengths: Any,
) -> tuple[Encoder, TextTokenizer]:
    """A pretrained encoder, and its tokenizer within the encoder's limit on tokens.

    Args:
        model: hub id, folder or "minilm".
        dropout: of the encoder's layers while they train.
        tokenizer: another than the model's own.
        hub: `revision` and `trust_remote_code` of the model.
        lengths: `max_length`, `long`, `stride` of the tokenizer.
    """
    hub = dict(hub or {})
    config = load_config(model, **hub)  # before anything larger is downloaded
    if tokenizer is None:
        tokenizer = load_tokenizer(model, **hub)
    elif isinstance(tokenizer, (str, Path)):
        tokenizer = load_tokenizer(tokenizer)
    check_fast(tokenizer, "tokenizer")
    encoder = load_encoder(model, dropout, config, **hub)
    tokens = TextTokenizer(_limited(copy(tokenizer), encoder), **lengths)
    encoder.pair_separator = tokens.pair_separator
    return encoder, tokens


def _limited(tokenizer: Any, encoder: Encoder) -> Any:
    """The tokenizer with the encoder's limit on tokens, where its own is larger or unknown.

    Raises:
        ValueError: it has tokens that the encoder has no embedding for.
    """
    largest, rows = max(tokenizer.get_vocab().values()), encoder.body.get_input_embeddings().num_embeddings
    if largest >= rows:
        raise ValueError(
            f"the tokenizer has tokens up to number {largest:,}, and the encoder has embeddings of {rows:,}; save the "
            "model again after model.resize_token_embeddings(len(tokenizer))"
        )
    tokenizer.model_max_length = min(tokenizer.model_max_length, encoder.max_length)
    return tokenizer


def learner_from_artifact(
    folder: str | Path,
    df: pd.DataFrame,
    *,
    make: type[GradualLearner] = GradualLearner,
    functions: Sequence[Step] = (),
    loss: str | Callable | None = None,
    precision: str = "auto",
    valid: float | str | Sequence | None = 0.15,
    bs: int = 32,
    seed: int | None = 42,
    path: str | Path = ".",
    **kwargs: Any,
) -> GradualLearner:
    """Make a learner that goes on where an artifact was saved; arguments as for `GradualLearner.from_artifact`.

    Args:
        make: the class of learner.
        kwargs: of the class.
    """
    join()
    artifact = read_artifact(folder, functions)
    info, target, device = artifact.metadata, artifact.target, default_device()
    lengths = {name: info["tokens"][name] for name in ("max_length", "long", "stride")}
    text = TextOptions(info["text_col"], artifact.cleaner, **lengths)
    rows = {"valid": valid, "bs": bs, "seed": seed, "path": path, "device": device}
    model, loss_func = load_classifier(artifact), loss_for(target.task, loss)
    model.precision = choose_precision(precision, device)
    loss_func.temperature = info["temperature"]
    if target.is_multilabel:
        loss_func.thresh = artifact.thresholds
    tokenizer = TextTokenizer(load_tokenizer(artifact.folder), **lengths)
    tokenizer.token_encoder = artifact.token_encoder  # as it was trained with, whatever this version would make of it
    dls = dataloaders_from_df(df, tokenizer, text, TargetOptions(info["label_col"], target=target), **rows)
    options = {"seed": seed, "path": Path(path), "metrics": metrics_for(target), **kwargs}
    return make(dls, model.to(device), loss_func, **options)
