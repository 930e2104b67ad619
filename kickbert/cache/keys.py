"""What the hidden states of a frozen prefix depend on: cache keys, and cheap checks that nothing has changed."""

import hashlib
import json
import operator
from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from kickbert.models.classifier import TextClassifier
from kickbert.utils.hashing import feed, fingerprint

# Attributes that are no settings: those of every module, the configuration (in the key once already), and a path.
OTHER = frozenset(vars(nn.Module())) | {"config", "name_or_path"}
# Of a configuration, what says nothing of the encoder: what a head predicts, and who wrote the file.
LABELLING = {"architectures", "dtype", "id2label", "label2id", "problem_type", "transformers_version"}
WHOLE = 2**17  # weights of a prefix that are all compared in each epoch; of a larger one
SAMPLE = 16  # of each tensor


def prefix_keys(model: TextClassifier, upto: int) -> list[str]:
    """Cache keys of the prefixes of depth 0 to `upto`: hashes of all that their hidden states depend on but the rows.

    Returns:
        `upto + 1` keys, 32 hex digits each.
    Raises:
        Unidentifiable: a setting of a module cannot be compared with that of another process.
    """
    config = model.encoder.body.config
    settings = {name: value for name, value in json.loads(config.to_json_string()).items() if name not in LABELLING}
    about = f"{json.dumps(settings, sort_keys=True)}{config._attn_implementation}{model.precision}"
    state = hashlib.sha256(about.encode())
    keys = []
    for modules in model.encoder.modules_by_group()[: upto + 1]:
        state.update(fingerprint(*map(_settings, modules)).encode())
        feed(state, _tensors(modules))
        keys.append(state.hexdigest()[:32])
    return keys


def prefix_modules(model: TextClassifier, depth: int) -> list[nn.Module]:
    """The modules of the prefix of this depth: embeddings and layers, containers included."""
    return [module for group in model.encoder.modules_by_group()[: depth + 1] for module in group]


def why_not_cacheable(modules: list[nn.Module]) -> str | None:
    """Why a prefix cannot be cached: what may make each of its forwards differ; None where nothing does."""
    if any(prefix_hooks(modules)):
        return "its modules have hooks"
    for module in modules:
        if "forward" in vars(module):
            return f"its {type(module).__name__} has a forward of its own"
        if module.training:
            return f"its {type(module).__name__} is in training mode"
    return None


def prefix_hooks(modules: list[nn.Module]) -> list[dict]:
    """torch's own dicts of forward and forward-pre hooks: the global ones, then those of each module."""
    own = [hooks for module in modules for hooks in (module._forward_pre_hooks, module._forward_hooks)]
    return [torch_module._global_forward_pre_hooks, torch_module._global_forward_hooks, *own]


class Snapshot:
    """A prefix as it was at one time, to be compared with in each epoch: `prefix_keys` would take half of a short one.

    torch's version counters tell of changes in place, but not of those through `.data`. So weights themselves are
    compared: all of a small model, and of a larger one a few of each tensor, which no change of a whole one escapes.

    Args:
        precision: of the model.
        modules: as `prefix_modules` gives them.
    """

    def __init__(self, precision: str, modules: list[nn.Module]):
        tensors = list(_tensors(modules))
        whole = sum(t.numel() for t in tensors) <= WHOLE
        self.objects, self.numbers = _objects(precision, modules), _numbers(tensors)
        # An odd stride is no multiple of a matrix's width, which would pick the weights of one column.
        self.views = [t.detach().reshape(-1)[:: 1 if whole else t.numel() // SAMPLE | 1] for t in tensors]
        self.sample = torch.cat(self.views)

    def holds(self, precision: str, modules: list[nn.Module]) -> bool:
        """Whether the prefix is still the same."""
        objects = _objects(precision, modules)
        same = len(objects) == len(self.objects) and all(map(operator.is_, objects, self.objects))
        same = same and _numbers(list(_tensors(modules))) == self.numbers
        return same and torch.equal(torch.cat(self.views), self.sample)


def _objects(precision: str, modules: list[nn.Module]) -> list[Any]:
    """Modules and all that is set on them; what is set anew is another object."""
    return [precision, *modules, *map(type, modules), *chain.from_iterable(vars(m).values() for m in modules)]


def _numbers(tensors: list[Tensor]) -> list[tuple[int, int, int]]:
    return [(id(t), t._version, t.data_ptr()) for t in tensors]


def _tensors(modules: Iterable[nn.Module]) -> Iterable[Tensor]:
    """The parameters and buffers of these modules themselves, not of those within them."""
    for module in modules:
        for tensors in (module._parameters, module._buffers):
            yield from (t for t in tensors.values() if t is not None)


def _settings(module: nn.Module) -> tuple:
    """A module's class and attributes, without its parameters, buffers and submodules."""
    attributes = {name: value for name, value in vars(module).items() if name not in OTHER}
    return type(module), module.extra_repr(), attributes
