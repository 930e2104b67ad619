"""A fastai Learner that unfreezes an encoder's last layers step by step."""

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
from fastai.callback.training import GradientClip
from fastai.torch_core import no_random
from torch import Tensor, nn

from kickbert.cache.callback import PrefixCache
from kickbert.cache.storage import Cache
from kickbert.data.dataloaders import TextDataLoaders
from kickbert.models.classifier import TextClassifier
from kickbert.models.saving import save_artifact
from kickbert.targets.kinds import MULTI, SINGLE
from kickbert.targets.thresholds import best_thresholds
from kickbert.training.callbacks import Collapse, Guard, History
from kickbert.training.checkpoint import RunKey, load_phase, run_parts, save_phase
from kickbert.training.loggers import Progress, epoch_line
from kickbert.training.losses import loss_for
from kickbert.training.optimizers import adamw
from kickbert.training.prediction import PredictingLearner
from kickbert.training.schedule import Phase, gradual_unfreezing
from kickbert.utils.hashing import fingerprint
from kickbert.utils.progress import interactive

LARGEST = 1.0  # norm of the gradient of several labels


def layer_groups(model: TextClassifier) -> list[list[nn.Parameter]]:
    """A model's groups of parameters as fastai's `splitter` gives them, from the embeddings to the head."""
    return list(model.groups().values())


class GradualLearner(PredictingLearner):
    """A fastai Learner over the named groups of a `TextClassifier`. All of fastai's own methods work on it.

    Args:
        dls: batches of `Tokens` and targets.
        model: encoder and head.
        seed: makes each phase of `fit_gradual` repeatable, whatever ran before it; None for chance.
        cache: keep the states of the frozen part instead of computing them in each epoch; a `Cache` says where.
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
        cache: bool | Cache = True,
        lr: float = 1e-4,
        opt_func: Callable = adamw,
        wd: float = 0.01,
        cbs: Any = None,
        **kwargs: Any,
    ):
        self.seed, self.phase_title = seed, ""
        self.first_weights: list[str] = []  # fingerprints of the encoder's groups when the last run began
        target = dls.target if isinstance(dls, TextDataLoaders) else None  # none where a DataBlock made them
        super().__init__(
            dls,
            model,
            loss_func or loss_for(target.task if target else SINGLE),
            opt_func=opt_func,
            lr=lr,
            splitter=layer_groups,
            cbs=cbs,
            wd=wd,
            train_bn=False,  # fastai would go on training the LayerNorms of frozen layers
            moms=(0.9, 0.9, 0.9),  # Adam's own beta, held: its cycling only adds noise to so few steps
            **kwargs,
        )
        self.logger = self._print_epoch
        self.remove_cbs(ProgressCallback)
        self.add_cbs([Guard, Collapse, History, *([Progress] if interactive() else [])])
        if target and target.task == MULTI:  # a batch with a rare label pulls hard enough to undo an epoch
            self.add_cb(GradientClip(LARGEST))
        if cache:
            self.add_cb(PrefixCache(cache) if isinstance(cache, Cache) else PrefixCache())

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
        if not self.phase_title:
            self._settle()

    def _settle(self) -> None:
        """What is to be done once training is over."""
        if not isinstance(self.dls, TextDataLoaders):
            return
        if told := self.collapse.told(self.dls.target):
            warnings.warn(told, stacklevel=3)
        if self.dls.target.task == MULTI and hasattr(self.loss_func, "thresh"):
            self.tune_thresholds()

    def tune_thresholds(self) -> pd.Series:
        """Choose for each of several labels the probability from which it counts, by F1 on the validation rows.

        It is done after every fit. `predict_df` and the metrics then decide by these thresholds.

        Returns:
            The thresholds, by label.
        """
        with self.no_bar():
            probs, truth = self.get_preds(ds_idx=1)
        self.loss_func.thresh = best_thresholds(probs.numpy(), truth.numpy())
        return pd.Series(self.loss_func.thresh, index=self.dls.target.names, name="threshold")

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
            resume: go on after the last phase that a killed run finished: one of the same rows, model, schedule, loss,
                optimizer, batches, callbacks, metrics, precision and seed.
            cbs: further fastai callbacks.
        Returns:
            The ladder, a row per phase: phase, trainable parameters, epochs, lr, seconds, last losses and metrics.
        Raises:
            ValueError: a checkpoint of another run, or a phase that freezes more groups than there are.
        Warns:
            It cannot be told for certain whether the checkpoint is of the same run; then the run starts afresh.
        """
        phases = list(phases) if phases is not None else gradual_unfreezing(len(self.model.groups()))
        bad = [p for p in phases if not 0 <= p.freeze_to < len(self.model.groups())]
        if bad:
            raise ValueError(f"{bad[0]} must freeze to a group from 0 to {len(self.model.groups()) - 1}")
        file = Path(self.path) / self.model_dir / "gradual.safetensors"
        key, trained = self._run_key(phases, cbs, resume)
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
        self._settle()
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

    def _resumed(self, file: Path, key: RunKey, phases: int) -> list[dict]:
        if key.uncertain:
            warnings.warn(f"not resumed, for it cannot be told what this run depends on: {key.uncertain}", stacklevel=3)
            return []
        done = load_phase(file, self.model, key)
        print(
            f"no checkpoint at {file}: starting" if done is None else f"resuming after {len(done)} of {phases} phases"
        )
        return done or []

    def _run_key(self, phases: Sequence[Phase], cbs: Any, resume: bool) -> tuple[RunKey, dict[str, Tensor]]:
        """What the run depends on, and the weights that some phase of it changes, by name."""
        groups = list(self.model.groups().values())
        lowest = min((p.freeze_to for p in phases), default=len(groups))
        weights = [fingerprint(group) for group in groups[:-1]]
        if resume and self.first_weights:  # the run that was broken off has changed the weights in memory
            weights[lowest:] = self.first_weights[lowest:]
        self.first_weights = weights
        fixed = {id(p) for group in groups[:lowest] for p in group}
        trained = {name: p for name, p in self.model.named_parameters() if id(p) not in fixed}
        return RunKey.of(run_parts(self, phases, cbs, weights)), trained

    def save_artifact(self, folder: str | Path, evaluation: Any = None) -> Path:
        """Write a new version of a model: weights, tokenizer and facts in a folder that `kickbert.load` reads.

        Args:
            folder: of all versions; this one becomes `folder/v1`, `v2`, … and the latest.
            evaluation: what `kickbert.evaluate` found, for the model card; None for the last epoch's metrics.
        Returns:
            The folder of the version.
        Raises:
            ArtifactError: it could not be written; what was there is unchanged.
        """
        return save_artifact(self, folder, evaluation)

    @classmethod
    def from_artifact(cls, folder: str | Path, df: pd.DataFrame, **how: Any) -> "GradualLearner":
        """A learner that goes on where an artifact was saved, on rows of the same columns.

        Args:
            folder: of a version, or of a model, whose latest version is taken.
            df: the rows; those of classes that the artifact does not know are left out.
            how: `functions` (cleaning steps of your own), and `loss, precision, valid, bs, seed, path, cache, cbs` as
                for `learner_from_df`.
        Raises:
            ArtifactError: no artifact, or one that was cut short, changed, or of a newer format.
        """
        from kickbert.training.factories import learner_from_artifact  # it makes learners, so it stands above them

        return learner_from_artifact(folder, df, make=cls, **how)
