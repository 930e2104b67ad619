"""Cache keys: hashes of everything that the hidden states of a frozen prefix depend on."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from kickbert.models.classifier import TextClassifier
from kickbert.utils.hashing import feed, fingerprint

# Attributes that are not settings: those of every module, the configuration (already in the key), and a path.
OTHER = frozenset(vars(nn.Module())) | {"config", "name_or_path"}
# Entries of a configuration that do not affect the encoder: the head's classes, and who wrote the file.
NOT_ENCODER = {"architectures", "dtype", "id2label", "label2id", "problem_type", "transformers_version"}


def prefix_keys(model: TextClassifier, upto: int) -> list[str]:
    """Compute the cache keys of the prefixes of depth 0 to `upto`.

    Returns:
        `upto + 1` keys, 32 hex digits each.
    Raises:
        Unidentifiable: a module has a setting that may differ in another process.
    """
    config = model.encoder.body.config
    settings = {name: value for name, value in json.loads(config.to_json_string()).items() if name not in NOT_ENCODER}
    about = f"{json.dumps(settings, sort_keys=True)}{config._attn_implementation}{model.precision}"
    state = hashlib.sha256(about.encode())
    keys = []
    for modules in model.encoder.modules_by_group()[: upto + 1]:
        state.update(fingerprint(*map(_settings, modules)).encode())
        feed(state, own_tensors(modules))
        keys.append(state.hexdigest()[:32])
    return keys


def prefix_modules(model: TextClassifier, depth: int) -> list[nn.Module]:
    """List the modules of the prefix of this depth: embeddings and layers, containers included."""
    return [module for group in model.encoder.modules_by_group()[: depth + 1] for module in group]


def why_not_cacheable(modules: list[nn.Module]) -> str | None:
    """Explain why two forwards of a prefix may differ; None if they cannot."""
    if any(prefix_hooks(modules)):
        return "its modules have hooks"
    for module in modules:
        if "forward" in vars(module):
            return f"its {type(module).__name__} has a replaced forward"
        if module.training:
            return f"its {type(module).__name__} is in training mode"
    return None


def prefix_hooks(modules: list[nn.Module]) -> list[dict[int, Any]]:
    """List torch's dicts of forward and forward-pre hooks: the global ones, then those of each module."""
    own = [hooks for module in modules for hooks in (module._forward_pre_hooks, module._forward_hooks)]
    return [torch_module._global_forward_pre_hooks, torch_module._global_forward_hooks, *own]


def own_tensors(modules: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Yield the parameters and buffers of these modules themselves, not of their submodules."""
    for module in modules:
        for tensors in (module._parameters, module._buffers):
            yield from (t for t in tensors.values() if t is not None)


def _settings(module: nn.Module) -> tuple[Any, ...]:
    """A module's class and attributes, without parameters, buffers and submodules."""
    attributes = {name: value for name, value in vars(module).items() if name not in OTHER}
    return type(module), module.extra_repr(), attributes
