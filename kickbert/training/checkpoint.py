"""The checkpoint at the end of each phase: one safetensors file, replaced as a whole, that knows which run it is of."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fastai.callback.core import Callback, TrainEvalCallback
from fastai.learner import CastToTensor, Metric
from fastai.losses import BaseLoss
from fastai.optimizer import OptimWrapper
from fastcore.foundation import L
from fasttransform import Transform
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kickbert.cache.callback import PrefixCache
from kickbert.training.callbacks import Collapse, Guard, History
from kickbert.training.losses import FITTED
from kickbert.training.metrics import EpochRecorder, NoBars, Progress
from kickbert.training.run_logs.callback import RunLog
from kickbert.utils.atomic_files import replacing
from kickbert.utils.hashing import Unidentifiable, fingerprint, first_fingerprint
from kickbert.utils.processes import rank, world_size
from kickbert.utils.progress import say

# Callbacks that every learner may have and that leave what is learnt as it is.
USUAL = (
    TrainEvalCallback,
    CastToTensor,
    EpochRecorder,
    Progress,
    NoBars,
    Guard,
    Collapse,
    History,
    PrefixCache,
    RunLog,
)
OTHER = ("training", "name_or_path")  # public attributes that are no settings of what is computed
MOMENTS = "optimizer/"  # before the names of what a checkpoint has of the optimizer
STATEFUL = (Callback, Metric, Transform, partial)  # partial: the augmentation of each epoch, with its random generator


@dataclass(frozen=True)
class RunKey:
    """What a run depends on.

    Args:
        parts: fingerprints by name; what may differ in another process has none.
        uncertain: what that is, and why; empty where everything has one.
    """

    parts: dict[str, str]
    uncertain: str = ""

    @classmethod
    def of(cls, parts: dict[str, Callable[[], Any]]) -> "RunKey":
        """The key of values by name, each behind a function that gives it."""
        known, uncertain = {}, []
        for name, value in parts.items():
            try:
                known[name] = fingerprint(value())
            except Unidentifiable as err:
                uncertain.append(f"{name}: {err}")
        return cls(known, "; ".join(uncertain))


def run_parts(learn: Any, phases: Sequence, cbs: Any, weights: list[str]) -> dict[str, Callable]:
    """All that a run of `fit_gradual` depends on, by name, each behind a function that gives it.

    Args:
        learn: a `GradualLearner`.
        phases: the schedule: phases, or the options of one that chooses them.
        cbs: callbacks of this run, beside the learner's own.
        weights: fingerprints of the encoder's groups as the run began with them. The head is left out: without a seed
            it begins elsewhere in each process.
    """
    loaders, model, loss = learn.dls.loaders, learn.model, learn.loss_func
    if isinstance(loss, BaseLoss):
        loss = copy(loss)
        loss.__dict__ = {name: value for name, value in vars(loss).items() if name not in FITTED}
    own = [cb for cb in [*learn.cbs, *L(cbs)] if type(cb) not in USUAL]
    return {
        "rows": lambda: [getattr(learn.dls, "target", None), [[dl.rows, dl.further] for dl in loaders]],
        "batches": lambda: [_batches(dl) for dl in loaders],
        "phases": lambda: list(phases),
        "seed": lambda: learn.seed,
        "number of processes": world_size,
        "model": lambda: [type(model), structure(model.encoder), structure(model.head)],
        "weights": lambda: weights,
        "precision": lambda: model.precision,
        "loss": lambda: loss,
        "optimizer": lambda: [learn.opt_func, learn.wd, learn.wd_bn_bias],
        "callbacks": lambda: first_states(own),
        "metrics": lambda: [metric.name for metric in learn.metrics],
    }


def _batches(dl: Any) -> list:
    """How a DataLoader makes batches of its rows."""
    drawn = [dl.bs, dl.shuffle, dl.drop_last, dl.weights, first_states([dl.renew])]
    return [type(dl), *drawn, first_states([*dl.after_item.fs, *dl.after_batch.fs])]


def structure(module: nn.Module) -> list[tuple]:
    """What a module computes but for its parameters and buffers: class, public attributes and hooks of each submodule.

    A transformers configuration counts as the JSON that it writes, which leaves out the folder it was read from.
    """
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    parts = []
    for name, part in module.named_modules():
        public = {k: v for k, v in vars(part).items() if k[0] != "_" and k not in OTHER}
        public = {k: v.to_json_string() if hasattr(v, "to_json_string") else v for k, v in public.items()}
        parts.append((name, type(part), public, [list(getattr(part, kind).values()) for kind in hooks]))
    return parts


def first_states(values: Any) -> list:
    """Callbacks, metrics and transforms as they were when first asked for: their state changes while they are used.

    Args:
        values: one or several; what is none of these stays as it is.
    """
    return [_first_state(value) if isinstance(value, STATEFUL) else value for value in L(values)]


def _first_state(value: Any) -> str:
    learn = vars(value).pop("learn", None)  # where a callback is used says nothing of what it is
    try:
        return first_fingerprint(value)
    finally:
        if learn is not None:
            value.learn = learn


def save_phase(file: Path, parameters: dict[str, Tensor], key: RunKey, rows: list[dict]) -> None:
    """Write what the run trains, and the ladder so far; of processes that train together the first does.

    Args:
        file: where to.
        parameters: by name, all that any phase of the run trains, so that the whole run can be gone back to.
        key: what the run depends on.
        rows: the ladder, a dict for each phase that is done.
    """
    if rank():
        return
    with replacing(file) as part:
        save_file(
            {name: p.detach().cpu().contiguous() for name, p in parameters.items()},
            part,
            metadata={"run": json.dumps(key.parts), "rows": json.dumps(rows)},
        )


def load_phase(file: Path, model: nn.Module, key: RunKey) -> list[dict] | None:
    """Read a checkpoint into the model.

    Returns:
        The ladder so far, a dict for each phase that is done; None when there is no checkpoint.
    Raises:
        ValueError: the checkpoint is of another run; the message says what differs.
    """
    if not file.exists():
        return None
    with safe_open(file, framework="pt") as checkpoint:
        metadata = checkpoint.metadata()
    saved = json.loads(metadata.get("run", "{}"))
    other = [name for name in key.parts if saved.get(name) != key.parts[name]]
    if other:
        raise ValueError(
            f"the checkpoint {file} is of a run with other {', '.join(other)}; "
            "give the same again, or start afresh with resume=False"
        )
    model.load_state_dict(_tensors(file, lambda name: not name.startswith(MOMENTS)), strict=False)
    return json.loads(metadata["rows"])


def _tensors(file: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """The tensors of a checkpoint whose names are wanted."""
    with safe_open(file, framework="pt") as checkpoint:
        return {name: checkpoint.get_tensor(name) for name in checkpoint.keys() if wanted(name)}  # noqa: SIM118


def resumed(learn: Any, file: Path, key: RunKey, total: int | None) -> list[dict]:
    """The ladder of a run that was broken off, its weights back in the learner; empty where it starts afresh.

    Args:
        learn: a `GradualLearner`.
        file: the checkpoint.
        key: what the run depends on.
        total: number of phases, where it is known.
    Raises:
        ValueError: the checkpoint is of another run.
    Warns:
        It is not certain that it is of this run.
    """
    if key.uncertain:
        warnings.warn(
            f"not resumed, for it is not certain that this is the run of the checkpoint: {key.uncertain}", stacklevel=4
        )
        return []
    if (done := load_phase(file, learn.model, key)) is None:
        say(f"no checkpoint at {file}: starting")
        return []
    say(f"resuming after {len(done)}{f' of {total}' if total else ''} phases")
    return done


def moments(learn: Any, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """What an optimizer of torch keeps of these parameters, such as Adam's moments: tensors by name, for a checkpoint.

    fastai's own optimizers keep more than tensors: of these there is nothing, and they begin each phase anew.
    """
    state = getattr(learn.opt, "opt", learn.opt).state if isinstance(learn.opt, OptimWrapper) else {}
    kept = {name: state[p] for name, p in parameters.items() if state.get(p)}
    return {
        f"{MOMENTS}{key}/{name}": value
        for name, of_one in kept.items()
        if all(isinstance(value, Tensor) for value in of_one.values())
        for key, value in of_one.items()
    }


def kept_moments(file: Path) -> dict[str, Tensor]:
    """What a checkpoint has of `moments`."""
    return _tensors(file, lambda name: name.startswith(MOMENTS))


def set_moments(learn: Any, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer back what `moments` had of the parameters that train now; of others it keeps nothing."""
    if learn.opt is None:
        learn.create_opt()
    learn.opt.clear_state()
    parameters = dict(learn.model.named_parameters())
    for name, value in tensors.items():
        key, _, parameter = name.removeprefix(MOMENTS).partition("/")
        if (p := parameters[parameter]).requires_grad:
            learn.opt.opt.state[p][key] = value.to(p.device)


def run_key(
    learn: Any, phases: Sequence, freeze_to: Sequence[int], cbs: Any, resume: bool
) -> tuple[RunKey, dict[str, nn.Parameter]]:
    """What a run depends on, and the weights that some phase of it changes, by name.

    Args:
        learn, phases, cbs: as for `run_parts`.
        freeze_to: the lowest group that trains, of each phase that may come.
        resume: whether the run goes on in this process, which has changed the weights since it began.
    """
    groups = learn.splitter(learn.model)
    lowest = min(freeze_to, default=len(groups))
    weights = [fingerprint(group) for group in groups[:-1]]
    if resume and learn.start_weights:
        weights[lowest:] = learn.start_weights[lowest:]
    learn.start_weights = weights
    opened = {id(p) for group in groups[lowest:] for p in group}
    trained = {name: p for name, p in learn.model.named_parameters() if id(p) in opened}
    return RunKey.of(run_parts(learn, phases, cbs, weights)), trained
