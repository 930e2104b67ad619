"""A fastai Learner for gradual unfreezing: the head first, then the encoder's last layers, then deeper ones."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.callback.core import Callback
from fastai.callback.mixup import MixHandler
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import LRFinder
from fastai.callback.training import GradientClip
from fastai.learner import Recorder
from fastai.torch_core import no_random
from fastcore.foundation import L
from torch import nn

from kickbert.cache.callback import PrefixCache
from kickbert.cache.storage import Cache
from kickbert.data.dataloaders import TextDataLoaders
from kickbert.evaluation.calibration import calibrate_by_default
from kickbert.evaluation.collapse import LONGER
from kickbert.models.artifact.saving import save_artifact
from kickbert.models.classifier import TextClassifier
from kickbert.models.side_network import SideNetwork
from kickbert.targets.thresholds import best_thresholds
from kickbert.training.adaptive import Adaptive
from kickbert.training.collapse import Collapse
from kickbert.training.column_offsets import ColumnOffsets
from kickbert.training.distributed import data_parallel, on_first
from kickbert.training.few_shot import FewShot, few_labels, fit_few
from kickbert.training.guard import Guard
from kickbert.training.history import History
from kickbert.training.ladder import Fixed, Plan, run_phases
from kickbert.training.losses import loss_for, loss_of_blocks
from kickbert.training.optimizers import adamw
from kickbert.training.prediction import FEW, FIT, GRADUAL, PredictingLearner
from kickbert.training.presets import preset
from kickbert.training.recorder import EpochRecorder, NoBars, Progress, epoch_line
from kickbert.training.run_logs.callback import callbacks_by_name, end_logs
from kickbert.training.schedule import Phase
from kickbert.utils.messages import seconds
from kickbert.utils.progress import interactive, say

MAX_NORM = 1.0  # of the gradient with several labels


def layer_groups(model: TextClassifier) -> list[list[nn.Parameter]]:
    """List a model's groups of parameters from the embeddings to the head, as a fastai `splitter`."""
    return list(model.groups().values())


def _check_mixing(cbs: Sequence[Any]) -> None:
    """Refuse fastai's MixUp and CutMix, which average the inputs of two rows."""
    for cb in cbs:
        if isinstance(cb, MixHandler) or (isinstance(cb, type) and issubclass(cb, MixHandler)):
            name = cb.__name__ if isinstance(cb, type) else type(cb).__name__
            raise ValueError(
                f"{name} mixes the inputs of two rows, but token ids have no mean. Augment the texts instead: "
                "learner_from_df(df, augment=kickbert.text.EDA())"
            )


class GradualLearner(PredictingLearner):
    """A fastai Learner over the named layer groups of a `TextClassifier`. All of fastai's own methods work on it.

    Args:
        dls: batches of `Tokens` and targets.
        model: encoder and head.
        loss_func: None for the default of the task or of a `DataBlock`'s blocks; or a name, a fastai loss, or a
            function or module of logits and true codes.
        seed: makes each phase of `fit_gradual` reproducible, independent of what ran before; None for a random seed.
        cache: whether to cache the states of the frozen part instead of computing them in each epoch; or a `Cache`.
        schedule: arguments of `gradual_unfreezing`, which `fit_gradual` uses when it gets no phases.
        lr: default learning rate of fastai's fit methods.
        splitter: other groups of parameters than the model's layer groups; `fit_gradual` then needs its phases.
        train_bn: whether the LayerNorms of frozen layers train, as in fastai; then no prefix is frozen or cached.
        moms: momentum of fastai's schedules; by default Adam's beta, held constant: cycling adds noise to so few steps.
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
        schedule: Mapping[str, Any] | None = None,
        lr: float = 1e-4,
        opt_func: Callable = adamw,
        wd: float = 0.01,
        cbs: Any = None,
        splitter: Callable = layer_groups,
        train_bn: bool = False,
        moms: tuple[float, ...] = (0.9, 0.9, 0.9),
        **kwargs: Any,
    ):
        self.seed = seed
        self.phase_title = ""
        self.schedule = dict(schedule or {})
        self.ladder: list[dict[str, Any]] = []
        self.start_weights: list[str] = []  # fingerprints of the encoder's groups when the last run began
        target = dls.target if isinstance(dls, TextDataLoaders) else None  # None with a DataBlock's DataLoaders
        super().__init__(
            dls,
            model,
            loss_for(target, loss_func) if target else loss_of_blocks(dls, loss_func),
            opt_func=opt_func,
            lr=lr,
            splitter=splitter,
            cbs=cbs,
            wd=wd,
            train_bn=train_bn,
            moms=moms,
            **kwargs,
        )
        self.logger = self._print_epoch
        for recorder in self._grab_cbs(Recorder)[-1:]:
            self.remove_cbs(Recorder)
            self.add_cb(EpochRecorder(recorder.add_time, recorder.train_metrics, recorder.valid_metrics))
        self.remove_cbs(ProgressCallback)
        self.add_cbs([Guard, Collapse, History, Progress if interactive() else NoBars])
        if target and target.is_multilabel:  # the gradient of a batch with a rare label can undo an epoch
            self.add_cb(GradientClip(MAX_NORM))
        if getattr(dls, "columns", None) is not None:
            self.add_cb(ColumnOffsets())
        if cache:
            self.add_cb(PrefixCache(cache) if isinstance(cache, Cache) else PrefixCache())

    def _print_epoch(self, values: list) -> None:
        say(epoch_line(list(self.recorder.metric_names), values, self.phase_title))

    def fit(self, n_epoch: int, *args: Any, **kwargs: Any) -> None:
        """fastai's `fit`.

        Raises:
            TrainingDiverged: the loss was NaN or infinite; the model has the weights of the last good epoch.
            ValueError: there are no training rows, or a callback mixes token ids.
        """
        self.need_rows(0)
        _check_mixing([*self.cbs, *L(kwargs.get("cbs"))])
        searches = any(cb is LRFinder or isinstance(cb, LRFinder) for cb in L(kwargs.get("cbs")))  # lr_find
        if not searches:
            self._begin(GRADUAL if self.phase_title else FIT)
        with data_parallel(self, n_epoch, kwargs.get("cbs")):
            super().fit(n_epoch, *args, **kwargs)
        if self.guard.error is not None:
            raise self.guard.error
        if not self.phase_title and not searches:
            self._settle()

    def use_side(self, side: bool | SideNetwork) -> None:
        """Give the head a new side network or a given one, or remove it; the optimizer then has other parameters."""
        if isinstance(side, bool):
            self.model.use_side(side)
        else:
            self.model.head.side = side
        self.opt: Any = None

    def _begin(self, method: str) -> None:
        """Note the method that trains, and forget a temperature that was fitted to other weights."""
        self.trained_by = method
        if hasattr(self.loss_func, "temperature"):
            self.loss_func.temperature = 1.0

    def _settle(self, calibrate: bool = False) -> None:
        """Warn about a model that has learned too little, calibrate, and tune the thresholds, after training."""
        if not isinstance(self.dls, TextDataLoaders):
            return
        if message := self.collapse.message():
            warnings.warn(message, stacklevel=3)
        record = dict(self.recorder.__dict__)  # predicting resets it
        if calibrate and (line := calibrate_by_default(self)):
            say(line)
        if self.dls.target.is_multilabel and hasattr(self.loss_func, "thresh") and len(self.dls.valid_ds):
            self.tune_thresholds()
        self.recorder.__dict__.update(record)

    def tune_thresholds(self) -> pd.Series:
        """Tune the decision threshold of each label for F1 on the validation rows, as after every fit.

        `predict_df` and the metrics use these thresholds from then on.

        Returns:
            The thresholds, indexed by label.
        Raises:
            ValueError: there are no validation rows.
        """
        self.need_rows(1)
        with self.no_bar():
            probs, y_true = self.get_preds(ds_idx=1)
        self.loss_func.thresh = best_thresholds(probs.numpy(), y_true.numpy())
        return pd.Series(self.loss_func.thresh, index=self.dls.target.names, name="threshold")

    def fit_gradual(
        self,
        phases: Sequence[Phase] | str | None = None,
        *,
        budget: str | float | None = None,
        resume: bool = False,
        name: str | None = None,
        cbs: Sequence[Callback] | None = None,
        calibrate: bool = True,
    ) -> pd.DataFrame:
        """Train by gradual unfreezing (Howard and Ruder 2018, 3.3): by default the head, then the last four layers.

        Each phase ends with a checkpoint under `path/model_dir/gradual.safetensors`. With 40 rows per class or fewer a
        line says that `fit_few` usually does better.

        Args:
            phases: the phases, or the name of a preset: "balanced" (default), the head and the last four layers;
                "fast", the head and a side network on states that are computed once; "best", all layers, for longer;
                "auto", the head, a side network, the last four layers, then deeper ones as long as validation scores
                improve; a phase that makes them worse is undone.
            budget: maximum time for "auto", as seconds or as "5 min"; a budget alone means "auto".
            resume: whether to continue after the last finished phase of an interrupted run, if it had the same rows,
                model, schedule, loss, optimizer, batches, callbacks, metrics, precision and seed.
            name: version of your own functions and classes (a loss, a callback); without it, a run with such code
                cannot be resumed. Change it whenever you change the code.
            cbs: further fastai callbacks, or names of run logs.
            calibrate: whether to fit a temperature at the end, with 200 validation rows or more
                (`kickbert.calibrate`); a line shows the calibration error. The predicted class stays the same, so
                ordered classes are left out: a temperature may move their median. Thresholds of several labels are
                tuned afterwards.

        Returns:
            The ladder, one row per phase: phase, trainable parameters, rows, epochs, lr, seconds, last losses and
            metrics; with "auto" also the gain of each phase in points, its 95% interval, and whether it was kept.

        Raises:
            ValueError: the checkpoint belongs to another run, a phase freezes more groups than there are, or "auto"
                has no validation rows to compare.
        """
        self.need_rows(0)
        if phases is None and self.splitter is not layer_groups:
            raise ValueError("splitter= defines other groups. Pass phases for them: [Phase('head', 1, 1, 2e-3), …]")
        if phases is None and budget is None and few_labels(self):
            say("Few labels per class: fit_few() usually does better than fit_gradual() here.")
        plan = self._plan(phases, budget)
        cbs = callbacks_by_name(cbs)  # here, so that one log contains all phases
        ladder = run_phases(self, plan, cbs, resume, name)
        self._begin(GRADUAL)  # also if a checkpoint contained all phases
        self._settle(calibrate)
        end_logs(cbs)
        return pd.DataFrame(ladder)

    def phases(self, name: str = "balanced") -> list[Phase]:
        """List the phases of a preset for this learner's rows and `schedule`; for "auto", all that may come.

        Raises:
            ValueError: there is no preset of this name.
        """
        return preset(name, len(self.splitter(self.model)), {"steps": len(self.dls.train), **self.schedule})

    @property
    def longer(self) -> tuple[int, ...]:
        """Epochs of each phase of a schedule that trains at least twice as long as the last fit and the default."""
        layers = self.schedule.get("layers", (0, 4))
        epochs = self.schedule.get("epochs") or [1] * len(layers)
        done = [len(fit.values) for fit in self.history.fits[-1:]]
        planned = [phase.epochs for phase in self.phases()[-1:]] if len(self.dls.train_ds) else []
        return (*epochs[:-1], max(LONGER, 2 * max([1, *done, *planned])))

    def _plan(self, phases: Sequence[Phase] | str | None, budget: str | float | None) -> Plan:
        """Choose the plan of `fit_gradual` by its arguments."""
        if phases == "auto" or budget is not None:
            if phases not in (None, "auto"):
                raise ValueError(
                    f"phases={phases!r} with budget={budget!r}: a budget is only for 'auto'. Leave out one of them"
                )
            return Adaptive(self, None if budget is None else seconds(budget))
        groups = len(self.splitter(self.model))
        phases = self.phases(phases or "balanced") if phases is None or isinstance(phases, str) else list(phases)
        if bad := [p for p in phases if not 0 <= p.freeze_to < groups]:
            raise ValueError(f"{bad[0]} must freeze to a group from 0 to {groups - 1}")
        return Fixed(phases)

    def fit_few(self, recipe: FewShot | Sequence[FewShot] | None = None, *, calibrate: bool = True) -> pd.DataFrame:
        """Train on few labels: steps of the last layers on their cached states, then logistic regression as the head.

        Args:
            recipe: layers, steps and loss; of several recipes (`kickbert.training.RECIPES`) the best on held-out rows;
                None for `FewShot()`, which was chosen on validation rows of several data sets.
            calibrate: as for `fit_gradual`.

        Returns:
            One row per phase: phase, trainable parameters, steps, lr, seconds, and loss and metrics of the validation
            rows, if there are any.

        Raises:
            ValueError: no training rows; or regression, ordered classes, windows, or a head of two layers, which
                `fit_gradual` trains.
            TrainingDiverged: the loss was NaN or infinite; the layers have their previous weights.
        """
        self.need_rows(0)
        self._begin(FEW)
        with no_random(self.seed) if self.seed is not None else nullcontext():
            ladder = fit_few(self, recipe)
        self.ladder = ladder.to_dict("records")
        self._settle(calibrate)
        return ladder

    def save_artifact(self, folder: str | Path, evaluation: Any = None) -> Path:
        """Write a new version of a model: weights, tokenizer and metadata in a folder that `kickbert.load` reads.

        Args:
            folder: folder of all versions; this one becomes `folder/v1`, `v2`, … and the latest.
            evaluation: result of `kickbert.evaluate` for the model card; None for the last epoch's metrics.

        Returns:
            The folder of the version.

        Raises:
            ArtifactError: the artifact could not be written; existing files are unchanged.
        """
        return on_first(lambda: save_artifact(self, folder, evaluation))
