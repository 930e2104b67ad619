"""DataFrame to `GradualLearner`: a fastai Learner that unfreezes an encoder's last layers step by step."""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler
from fastai.metrics import CohenKappa, F1Score, accuracy
from fastai.torch_core import default_device, no_random, set_seed
from torch import Tensor

from kickbert import precision as arithmetic
from kickbert.cache import Cache
from kickbert.checkpoint import digest, load_phase, save_phase
from kickbert.data import TextDataLoaders, dataloaders_from_df
from kickbert.encoder import Encoder, load_encoder
from kickbert.frames import named
from kickbert.guard import Guard
from kickbert.head import Head, TextClassifier
from kickbert.loop import Loop
from kickbert.losses import CrossEntropy
from kickbert.optimizers import adamw
from kickbert.pretrained import sentence_pooling
from kickbert.progress import Progress, epoch_line, interactive
from kickbert.schedule import Phase, gradual_unfreezing
from kickbert.store import Stores
from kickbert.targets import Format
from kickbert.tokenizer import TextTokenizer, load_tokenizer


class GradualLearner(Loop):
    """A fastai Learner over the named groups of a `TextClassifier`. All of fastai's own methods work on it.

    Args:
        dls: batches of `Tokens` and targets.
        model: encoder and head.
        seed: makes each phase of `fit_gradual` repeatable, whatever ran before it; None for chance.
        cache: keep the states of the frozen part instead of computing them in each epoch; a `Stores` says where.
        lr: default rate of fastai's own fit methods.
        kwargs: as for `Learner`.
    """

    def __init__(
        self,
        dls: TextDataLoaders,
        model: TextClassifier,
        loss_func: Callable | None = None,
        *,
        seed: int | None = 42,
        cache: bool | Stores = True,
        lr: float = 1e-4,
        opt_func: Callable = adamw,
        wd: float = 0.01,
        cbs: Any = None,
        **kwargs: Any,
    ):
        self.seed, self.phase_title = seed, ""
        super().__init__(
            dls,
            model,
            loss_func or CrossEntropy(),
            opt_func=opt_func,
            lr=lr,
            splitter=lambda m: list(m.groups().values()),
            cbs=cbs,
            wd=wd,
            train_bn=False,  # fastai would go on training the LayerNorms of frozen layers
            moms=(0.9, 0.9, 0.9),  # Adam's own beta, held: its cycling only adds noise to so few steps
            **kwargs,
        )
        self.logger = self._print_epoch
        self.remove_cbs(ProgressCallback)
        self.add_cbs([Guard, Progress] if interactive() else [Guard])
        if cache:
            self.add_cb(Cache(cache) if isinstance(cache, Stores) else Cache())

    def _print_epoch(self, values: list) -> None:
        print(epoch_line(list(self.recorder.metric_names), values, self.phase_title), flush=True)

    @property
    def groups(self) -> pd.DataFrame:
        """A row per group: its name, number of parameters, whether it trains, and its learning rate."""
        groups = self.model.groups()
        rates = [h["lr"] for h in self.opt.hypers] if self.opt is not None else [self.lr] * len(groups)
        rows = [
            {"group": name, "parameters": sum(p.numel() for p in ps), "trainable": any(p.requires_grad for p in ps)}
            for name, ps in groups.items()
        ]
        return pd.DataFrame(rows).assign(lr=np.where([r["trainable"] for r in rows], rates, 0.0))

    def fit(self, n_epoch: int, *args: Any, **kwargs: Any) -> None:
        """fastai's `fit`.

        Raises:
            TrainingDiverged: the loss was NaN or infinite; the weights are those of the last good epoch.
        """
        super().fit(n_epoch, *args, **kwargs)
        if self.guard.error is not None:
            raise self.guard.error

    def fine_tune(
        self, epochs: int, base_lr: float = 1e-4, freeze_epochs: int = 1, decay: float = 0.9, **kwargs: Any
    ) -> None:
        """Train the head alone, then everything, with smaller rates for deeper groups.

        Args:
            epochs: with everything unfrozen.
            base_lr: the head's rate then; alone it trains at 20 times that.
            freeze_epochs: of the head alone.
            decay: factor of the rate from one group to the next deeper one.
            kwargs: as for `fit_one_cycle`.
        """
        self.freeze()
        self.fit_one_cycle(freeze_epochs, 20 * base_lr, **kwargs)
        self.unfreeze()
        everything = Phase("everything", 0, epochs, base_lr, decay)
        self.fit_one_cycle(epochs, everything.rates(len(self.model.groups())), **{"pct_start": 0.1, **kwargs})

    def fit_gradual(
        self, phases: Sequence[Phase] | None = None, *, resume: bool = False, cbs: Sequence[Callback] | None = None
    ) -> pd.DataFrame:
        """Train phase by phase: by default the head, then the last four layers.

        Each phase ends with a checkpoint under `path/model_dir/gradual.safetensors`.

        Args:
            phases: what to train when; None for `gradual_unfreezing` of this model's groups.
            resume: go on after the last phase that a killed run of the same data, model, schedule and seed finished.
            cbs: further fastai callbacks.
        Returns:
            The ladder, a row per phase: phase, trainable parameters, epochs, lr, seconds, last losses and metrics.
        Raises:
            ValueError: a checkpoint of another run, or a phase that freezes more groups than there are.
        """
        phases = list(phases) if phases is not None else gradual_unfreezing(len(self.model.groups()))
        bad = [p for p in phases if not 0 <= p.freeze_to < len(self.model.groups())]
        if bad:
            raise ValueError(f"{bad[0]} must freeze to a group from 0 to {len(self.model.groups()) - 1}")
        file = Path(self.path) / self.model_dir / "gradual.safetensors"
        key, trained = self._run_key(phases)
        done = self._resumed(file, key, len(phases)) if resume else []
        if not done:  # a run that is killed in its first phase goes back to this
            save_phase(file, trained, key, done)
        if hasattr(self, "cache"):
            self.cache.ahead = [p.freeze_to - 1 for p in phases[len(done) :] if p.freeze_to > 1]
        for i, phase in enumerate(phases[len(done) :], start=len(done)):
            self.phase_title = f"{i + 1}/{len(phases)} {phase.name}"
            try:
                with no_random(self.seed + i) if self.seed is not None else nullcontext():
                    done.append(self._run_phase(phase, i, cbs))
            finally:
                self.phase_title = ""
            save_phase(file, trained, key, done)
        if hasattr(self, "cache"):
            self.cache.ahead = []
        return pd.DataFrame(done)

    def _run_phase(self, phase: Phase, number: int, cbs: Sequence[Callback] | None) -> dict:
        if self.seed is not None:
            self.dls.train.seed(self.seed + number)
        if self.opt is None:
            self.create_opt()
        self.freeze_to(phase.freeze_to)
        rates = np.array(phase.rates(len(self.model.groups())))
        start = time.perf_counter()
        self.fit(phase.epochs, cbs=[ParamScheduler({"lr": lambda at: rates * phase.factor(at)}), *(cbs or [])])
        seconds = time.perf_counter() - start
        trainable = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        # fastai's names without the first and the last, which are the epoch and the time
        last = dict(zip(self.recorder.metric_names[1:-1], map(float, self.recorder.values[-1]), strict=True))
        row = {"phase": phase.name, "trainable": trainable, "epochs": phase.epochs, "lr": phase.lr, "seconds": seconds}
        return row | last

    def _resumed(self, file: Path, key: str, phases: int) -> list[dict]:
        done = load_phase(file, self.model, key)
        print(
            f"no checkpoint at {file}: starting" if done is None else f"resuming after {len(done)} of {phases} phases"
        )
        return done or []

    def _run_key(self, phases: Sequence[Phase]) -> tuple[str, dict[str, Tensor]]:
        """A hash of the rows, the plan and the weights that no phase changes; and the weights that some phase does."""
        lowest = min((p.freeze_to for p in phases), default=len(self.model.groups()))
        fixed = {id(p) for group in list(self.model.groups().values())[:lowest] for p in group}
        parameters = dict(self.model.named_parameters())
        ids, *targets = self.dls.train.rows
        rows = [ids.flat, ids.offsets, *targets]
        key = digest(f"{phases}{self.seed}{self.model}", rows, [p for p in parameters.values() if id(p) in fixed])
        return key, {name: p for name, p in parameters.items() if id(p) not in fixed}

    def predict_df(self, df: pd.DataFrame) -> pd.DataFrame:
        """Predict the rows of df.

        Args:
            df: has the text columns that the learner was made with.
        Returns:
            Indexed like df: `label`, `confidence`, and `prob_<class>` for each class. A row with no text gets none.
        """
        dl = self.dls.test_dl(df)
        empty = df[self.dls.text_col].isna().all(axis=1).to_numpy()
        if empty.any():
            warnings.warn(
                f"{empty.sum():,} rows have no text and get no label: rows {named(empty, df.index)}", stacklevel=2
            )
        probs = self.get_preds(dl=dl)[0].numpy()
        target = self.dls.target
        out = pd.DataFrame(probs, index=df.index, columns=[f"prob_{name}" for name in target.names])
        out.insert(0, "label", pd.Series(target.decode(probs.argmax(1)), index=df.index))
        out.insert(1, "confidence", probs.max(1))
        out[empty] = None
        return out


def learner_from_df(
    df: pd.DataFrame,
    *,
    text_col: str | Sequence[str] = "text",
    label_col: str = "label",
    model: str | Path = "roberta-base",
    bins: int | Sequence[float] | None = None,
    bin_format: Format = None,
    valid: float | str | Sequence = 0.15,
    max_length: int | None = None,
    bs: int = 32,
    pooling: str | None = None,
    dropout: float = 0.1,
    encoder_dropout: float = 0.0,
    head_layers: int = 1,
    loss: Callable | None = None,
    seed: int | None = 42,
    precision: str = "auto",
    cache: bool | Stores = True,
    metrics: Any = None,
    cbs: Any = None,
    path: str | Path = ".",
) -> GradualLearner:
    """A learner that classifies the texts of a DataFrame.

    Args:
        df: the rows; never changed.
        text_col: the text column, or several, which are joined with the tokenizer's separator.
        label_col: the target.
        model: hub id, folder written by `save_pretrained`, or "minilm", which needs no network.
        bins: for a numeric target: a number of quantile buckets, found on the training rows, or the inner edges.
        bin_format: how edges are written in class names: a unit such as "$", or a function of the number.
        valid: share of the rows to validate on (stratified), a column, or row labels (see `kickbert.split`).
        max_length: most tokens a row may have; None for the model's limit, at most 512.
        bs: rows a training batch; validation takes twice as many.
        pooling: "cls", "mean", "max" or "attention"; None for the one a sentence encoder was trained with, else "cls".
        dropout, encoder_dropout: share of units dropped in training, in the head and in the layers that train.
        head_layers: 1, or 2 for a hidden layer.
        loss: of logits and targets; None for cross entropy.
        seed: makes two runs on one machine equal; it sets the seeds of Python, NumPy and torch. None leaves them alone.
        precision: "auto", "bf16" or "fp32".
        cache: whether the frozen part of the encoder is computed once and kept; a `kickbert.Stores` says where and how
            much of it.
        metrics: fastai metrics; None for accuracy and macro-F1, and quadratic kappa for bins.
        cbs: fastai callbacks.
        path: where checkpoints go, in a folder `models`.
    Returns:
        A fastai Learner with everything trainable; `fit_gradual()` is the way to train it.
    Raises:
        ValueError, TypeError: what cannot be used, with what is there and what to do.
    """
    if seed is not None:
        set_seed(seed)  # the order of the batches, the head's first weights, and what fastai's own fit methods draw
    tokenizer, device = load_tokenizer(model), default_device()
    encoder = load_encoder(model, encoder_dropout)
    tokens = TextTokenizer(_limited(tokenizer, encoder), max_length)
    columns = {"text_col": text_col, "label_col": label_col, "bins": bins, "bin_format": bin_format}
    dls = dataloaders_from_df(df, tokens, **columns, valid=valid, bs=bs, seed=seed, path=path, device=device)
    head = Head(encoder.width, len(dls.target.names), pooling or sentence_pooling(model) or "cls", dropout, head_layers)
    classifier = TextClassifier(encoder, head, arithmetic.choose(precision, device)).to(device)
    if metrics is None:
        metrics = [accuracy, F1Score(average="macro")]
        metrics += [CohenKappa(weights="quadratic")] if dls.target.ordered else []
    return GradualLearner(dls, classifier, loss, seed=seed, cache=cache, metrics=metrics, cbs=cbs, path=Path(path))


def _limited(tokenizer: Any, encoder: Encoder) -> Any:
    """The tokenizer with the encoder's limit on tokens, where its own is larger or unknown."""
    tokenizer.model_max_length = min(tokenizer.model_max_length, encoder.max_length)
    return tokenizer
