"""The checkpoint after each phase: one safetensors file, replaced atomically, that identifies its run."""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from kickbert.models.head import Head
from kickbert.training.collapse import Collapse
from kickbert.training.guard import Guard
from kickbert.training.history import History
from kickbert.training.losses import FITTED
from kickbert.training.recorder import EpochRecorder, NoBars, Progress
from kickbert.training.run_logs.callback import RunLog
from kickbert.utils.atomic_files import replacing
from kickbert.utils.hashing import Unidentifiable, fingerprint, first_fingerprint
from kickbert.utils.processes import rank, world_size
from kickbert.utils.progress import say

if TYPE_CHECKING:
    from kickbert.training.learner import GradualLearner

# Default callbacks that do not affect training.
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
NO_SETTINGS = ("training", "name_or_path", "peft_config")  # public attributes of modules that change no computation
SIDE = "head.side."  # prefix of the side network's weights
MOMENTS = "optimizer/"  # prefix of the optimizer's tensors in a checkpoint
STATEFUL = (Callback, Metric, Transform, partial)  # partial: the augmentation of each epoch, with its random generator


@dataclass(frozen=True)
class RunKey:
    """Everything that a run depends on.

    Args:
        parts: fingerprints by name, without those that cannot be computed.
        unidentified: the values without a fingerprint, and why; empty if there are none.
    """

    parts: dict[str, str]
    unidentified: str = ""

    @classmethod
    def of(cls, parts: dict[str, Callable[[], Any]], name: str | None = None) -> "RunKey":
        """Make the key of values by name, each behind a function that returns it; `name` as for `fingerprint`."""
        fingerprints = {}
        unidentified = []
        for part, value in parts.items():
            try:
                fingerprints[part] = fingerprint(value(), name=name)
            except Unidentifiable as err:
                unidentified.append(f"{part}: {err}")
        return cls(fingerprints, "; ".join(unidentified))


def run_parts(
    learn: "GradualLearner", phases: Sequence, cbs: Any, weights: list[str], name: str | None = None
) -> dict[str, Callable]:
    """List everything that a run of `fit_gradual` depends on, by name, each behind a function that returns it.

    Args:
        learn: the learner.
        phases: the phases, or the options of an adaptive run.
        cbs: further callbacks of this run.
        weights: fingerprints of the encoder's groups at the start of the run. The head is omitted: without a seed it
            starts differently in each process.
        name: version of your own functions and classes.
    """
    loaders, model, loss = learn.dls.loaders, learn.model, learn.loss_func
    if isinstance(loss, BaseLoss):
        loss = copy(loss)
        loss.__dict__ = {key: value for key, value in vars(loss).items() if key not in FITTED}
    callbacks = [cb for cb in [*learn.cbs, *L(cbs)] if type(cb) not in USUAL]
    return {
        "rows": lambda: [getattr(learn.dls, "target", None), [[dl.rows, dl.further, dl.offsets] for dl in loaders]],
        "batches": lambda: [_batches(dl, name) for dl in loaders],
        "phases": lambda: list(phases),
        "seed": lambda: learn.seed,
        "number of processes": world_size,
        "model": lambda: [type(model), structure(model.encoder), _without_side(structure(model.head))],
        "weights": lambda: weights,
        "weights that never train": lambda: _in_no_group(learn),
        "precision": lambda: model.precision,
        "loss": lambda: loss,
        "optimizer": lambda: [learn.opt_func, learn.wd, learn.wd_bn_bias],
        "callbacks": lambda: first_states(callbacks, name),
        "metrics": lambda: [metric.name for metric in learn.metrics],
    }


def run_key(
    learn: "GradualLearner", phases: Sequence, freeze_to: Sequence[int], cbs: Any, resume: bool, name: str | None
) -> RunKey:
    """Return the key of a run.

    Args:
        learn, phases, cbs, name: as for `run_parts`.
        freeze_to: the first trainable group of each phase that may come.
        resume: whether the run continues in this process, which has changed the weights since it began.
    """
    groups = learn.splitter(learn.model)
    lowest = min(freeze_to, default=len(groups))
    weights = [fingerprint(group) for group in groups[:-1]]
    if resume and learn.start_weights:
        weights[lowest:] = learn.start_weights[lowest:]
    learn.start_weights = weights
    return RunKey.of(run_parts(learn, phases, cbs, weights, name), name)


def trained_weights(learn: "GradualLearner", freeze_to: Sequence[int]) -> dict[str, nn.Parameter]:
    """Return the weights that any phase of a run changes, by name, for the first trainable group of each phase."""
    groups = learn.splitter(learn.model)
    trained = {id(p) for group in groups[min(freeze_to, default=len(groups)) :] for p in group}
    return {name: p for name, p in learn.model.named_parameters() if id(p) in trained}


def _in_no_group(learn: "GradualLearner") -> list[Tensor]:
    """List the weights that are in no group, such as base weights under an adapter."""
    grouped = {id(p) for group in learn.splitter(learn.model) for p in group}
    return [p for p in learn.model.parameters() if id(p) not in grouped]


def _batches(dl: Any, name: str | None) -> list:
    """Describe how a DataLoader makes batches."""
    settings = [dl.bs, dl.shuffle, dl.drop_last, dl.weights, first_states([dl.renew], name)]
    return [type(dl), *settings, first_states([*dl.after_item.fs, *dl.after_batch.fs], name)]


def structure(module: nn.Module) -> list[tuple]:
    """Describe what a module computes, without weights and buffers: class, attributes and hooks of each submodule.

    A transformers configuration counts by its JSON, which does not contain the folder it was read from.
    """
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    parts = []
    for name, part in module.named_modules():
        public = {k: v for k, v in vars(part).items() if k[0] != "_" and k not in NO_SETTINGS}
        public = {k: v.to_json_string() if hasattr(v, "to_json_string") else v for k, v in public.items()}
        parts.append((name, type(part), public, [list(getattr(part, kind).values()) for kind in hooks]))
    return parts


def _without_side(parts: list[tuple]) -> list[tuple]:
    """Leave out the side network, which a phase adds: a run that continues in this process may have one already."""
    return [part for part in parts if part[0].partition(".")[0] != "side"]


def first_states(values: Any, name: str | None = None) -> list:
    """Replace callbacks, metrics and transforms by the fingerprint of their first state, which changes during use.

    Args:
        values: one or several; other values stay as they are.
        name: as for `fingerprint`.
    """
    return [_first_state(value, name) if isinstance(value, STATEFUL) else value for value in L(values)]


def _first_state(value: Any, name: str | None) -> str:
    learn = vars(value).pop("learn", None)  # the learner of a callback is no part of its settings
    try:
        return first_fingerprint(value, name)
    finally:
        if learn is not None:
            value.learn = learn


def save_phase(file: Path, parameters: Mapping[str, Tensor], key: RunKey, ladder: list[dict]) -> None:
    """Write the weights that the run trains, and the ladder so far; only the first of several processes writes.

    Args:
        file: the checkpoint.
        parameters: by name, everything that any phase of the run trains, so that the whole run can be restored.
        key: what the run depends on.
        ladder: one dict per finished phase.
    """
    if rank():
        return
    with replacing(file) as part:
        save_file(
            {name: p.detach().cpu().contiguous() for name, p in parameters.items()},
            part,
            metadata={"run": json.dumps(key.parts), "rows": json.dumps(ladder)},
        )


def load_phase(file: Path, model: Any, key: RunKey) -> list[dict] | None:
    """Read a checkpoint into the model.

    Returns:
        The ladder so far, one dict per finished phase; None if there is no checkpoint.

    Raises:
        ValueError: the checkpoint belongs to another run; the message says what differs.
    """
    if not file.exists():
        return None
    with safe_open(file, framework="pt") as checkpoint:
        metadata = checkpoint.metadata()
    saved = json.loads(metadata.get("run", "{}"))
    other = [name for name in key.parts if saved.get(name) != key.parts[name]]
    if other:
        raise ValueError(
            f"the checkpoint {file} belongs to a run with other {', '.join(other)}. "
            "Pass the same again, or start over with resume=False"
        )
    weights = _tensors(file, lambda name: not name.startswith(MOMENTS))
    if isinstance(getattr(model, "head", None), Head):
        model.use_side(any(name.startswith(SIDE) for name in weights))
    model.load_state_dict(weights, strict=False)
    return json.loads(metadata["rows"])


def _tensors(file: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint with a wanted name."""
    with safe_open(file, framework="pt") as checkpoint:
        return {name: checkpoint.get_tensor(name) for name in checkpoint.keys() if wanted(name)}  # noqa: SIM118


def resumed(learn: "GradualLearner", file: Path, key: RunKey, total: int | None) -> list[dict]:
    """Restore an interrupted run and return the ladder so far, empty if the run starts over. Print which.

    Args:
        learn: the learner.
        file: the checkpoint.
        key: what the run depends on.
        total: number of phases, if known.

    Raises:
        ValueError: the checkpoint belongs to another run.
    """
    if key.unidentified:
        say(f"starting over: {key.unidentified}. Pass name='...' for your own code, and change it with the code.")
        return []
    if (ladder := load_phase(file, learn.model, key)) is None:
        say(f"no checkpoint at {file}: starting")
        return []
    learn.opt = None  # the side network may be another one now
    say(f"resuming after {len(ladder)}{f' of {total}' if total else ''} phases")
    return ladder


def moments(learn: "GradualLearner", parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Collect the state of a torch optimizer, such as Adam's moments, as tensors by name for a checkpoint.

    fastai's own optimizers, which have more state than tensors, are omitted and start fresh in each phase.
    """
    state = learn.opt.opt.state if isinstance(learn.opt, OptimWrapper) else {}
    kept = {name: state[p] for name, p in parameters.items() if state.get(p)}
    return {
        f"{MOMENTS}{key}/{name}": value
        for name, of_one in kept.items()
        if all(isinstance(value, Tensor) for value in of_one.values())
        for key, value in of_one.items()
    }


def saved_moments(file: Path) -> dict[str, Tensor]:
    """Read the `moments` of a checkpoint."""
    return _tensors(file, lambda name: name.startswith(MOMENTS))


def set_moments(learn: "GradualLearner", tensors: Mapping[str, Tensor]) -> None:
    """Restore the `moments` of the parameters that train now, and forget all others."""
    if learn.opt is None:
        learn.create_opt()
    learn.opt.clear_state()
    parameters = dict(learn.model.named_parameters())
    for name, value in tensors.items():
        key, _, parameter = name.removeprefix(MOMENTS).partition("/")
        p = parameters.get(parameter)  # None for a side network that was removed
        if p is not None and p.requires_grad:
            learn.opt.opt.state[p][key] = value.to(p.device)
