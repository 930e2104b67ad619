"""LoRA (Hu et al. 2021): low-rank matrices beside the frozen linear layers of an encoder, by peft.

an adapter's configuration → linear layers with matrices beside them → training → merged: plain weights again
or: matrices → two files in peft's own form; base encoder + two files → merged

The modules stay where they are and no model is wrapped, so prefix, suffix and groups of an encoder are what they were.
"""

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from kickbert.utils.extras import require
from kickbert.utils.hashing import digest

if TYPE_CHECKING:
    from peft import LoraConfig

ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"  # as peft names them
PEFT = "base_model.model."  # before the names of weights in peft's files
NAME = "default"  # of the one adapter, within peft
RANK, ALPHA = 8, 16  # of the matrices, whose product is multiplied by ALPHA / RANK
ADAPTER_RATE = 2e-3  # five times what all weights learn best at; on 2,000 rows of sst2 that rate cost two points
MARK = "lora_"  # in the names of all that trains of an adapter


def lora_config(adapter: Any) -> "LoraConfig":
    """peft's configuration of an adapter.

    Args:
        adapter: "lora", or a `LoraConfig`; without `target_modules` all linear layers within the encoder's layers.
    Raises:
        ImportError: peft is not installed.
        ValueError: another value, or options that train or change more than an adapter.
    """
    require("peft", extra="lora")
    from peft import LoraConfig

    if adapter == "lora":
        return LoraConfig(r=RANK, lora_alpha=ALPHA)
    if not isinstance(adapter, LoraConfig):
        raise ValueError(f"adapter={adapter!r} is neither 'lora' nor a peft.LoraConfig; leave it out for full training")
    others = {"bias": "none", "modules_to_save": None, "trainable_token_indices": None, "target_parameters": None}
    changed = [name for name, default in others.items() if getattr(adapter, name) != default]
    changed += ["init_lora_weights"] * (adapter.init_lora_weights not in (True, "gaussian"))
    if changed:
        value = getattr(adapter, changed[0])
        raise ValueError(
            f"adapter: {changed[0]}={value!r} trains or changes weights of the encoder itself; leave it out, so that "
            "the adapter is all that differs"
        )
    return deepcopy(adapter)


def add_adapter(encoder: nn.Module, adapter: Any, base: str | Path, revision: str | None = None) -> None:
    """Put an adapter into an encoder, in place; its own weights are frozen for good.

    Args:
        encoder: an `Encoder`.
        adapter: as for `lora_config`.
        base, revision: what the encoder was loaded by, for an artifact that is saved without it.
    Raises:
        ValueError: as `lora_config`, or target modules that the encoder has not.
    """
    from peft import inject_adapter_in_model

    config, body = lora_config(adapter), encoder.body
    if not config.target_modules:
        inside = {id(module) for layer in encoder.layers for module in layer.modules()}
        linear = [name for name, m in body.named_modules() if isinstance(m, nn.Linear) and id(m) in inside]
        config.target_modules = linear
    base = Path(base).resolve() if Path(base).is_dir() else base
    config.base_model_name_or_path, config.revision = str(base), revision
    try:
        inject_adapter_in_model(config, body, NAME)
    except ValueError as err:
        names = sorted({name.rpartition(".")[2] for name, m in body.named_modules() if isinstance(m, nn.Linear)})
        raise ValueError(f"target_modules={config.target_modules!r} of the adapter: {err}; there are {names}") from err


def adapter_of(body: nn.Module) -> "LoraConfig | None":
    """The configuration of a body's adapter; None where it has none."""
    return getattr(body, "peft_config", {}).get(NAME)


def own_parameters(module: nn.Module, adapted: bool) -> list[nn.Parameter]:
    """The parameters of a module that may train: all, or those of the adapter alone."""
    return [p for name, p in module.named_parameters() if not adapted or MARK in name]


@torch.no_grad()
def merged(body: nn.Module) -> nn.Module:
    """A copy of a body with its adapter added to its weights; the body itself where it has no adapter.

    Weights beside which the adapter has learnt nothing are the same to the last bit.
    """
    if adapter_of(body) is None:
        return body
    from peft.tuners.lora import LoraLayer

    body = deepcopy(body)
    for name, layer in [(n, m) for n, m in body.named_modules() if isinstance(m, LoraLayer)]:
        if layer.lora_variant or any(up.weight.any() for up in layer.lora_B.values()):
            layer.merge()  # which adds zeros too, and so takes the sign of a weight that is -0.0
        parent, _, own = name.rpartition(".")
        setattr(body.get_submodule(parent), own, layer.get_base_layer())
    del body.peft_config
    return body.requires_grad_(True)


def base_fingerprint(body: nn.Module) -> str:
    """A hash of a body's weights without its adapter, 32 hex digits: of an encoder as it was loaded, the same."""
    weights = {name.replace(".base_layer", ""): t for name, t in body.state_dict().items() if MARK not in name}
    return digest(*(part for name in sorted(weights) for part in (name, [weights[name]])))


def save_adapter(body: nn.Module, folder: Path) -> None:
    """Write a body's adapter in the two files that `peft.PeftModel.from_pretrained` reads."""
    weights = {name.replace(f".{NAME}", ""): t for name, t in body.state_dict().items() if MARK in name}
    save_file(
        {PEFT + name: t.detach().cpu().contiguous() for name, t in weights.items()}, folder / ADAPTER,
        metadata={"format": "pt"},
    )  # fmt: skip
    adapter_of(body).save_pretrained(folder)


def load_adapter(encoder: nn.Module, config: Path, weights: Path) -> None:
    """Put an adapter that `save_adapter` wrote into the encoder that it was trained on.

    Args:
        encoder: an `Encoder`.
        config, weights: the two files.
    Raises:
        ValueError: the weights are those of another adapter, or of another encoder.
    """
    require("peft", extra="lora")
    from peft import LoraConfig

    options = LoraConfig.from_pretrained(config.parent)
    add_adapter(encoder, options, options.base_model_name_or_path, options.revision)
    saved = {name.removeprefix(PEFT): t for name, t in load_file(weights).items()}
    own = {name.replace(f".{NAME}", ""): t for name, t in encoder.body.state_dict().items() if MARK in name}
    if differing := sorted(own.keys() ^ saved.keys()):
        raise ValueError(f"{weights.name} and the adapter differ in {differing[:3]}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(saved[name])
