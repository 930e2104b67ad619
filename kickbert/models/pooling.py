"""The pooling that a pretrained sentence encoder was trained with."""

import json
import warnings
from pathlib import Path
from typing import Any

from transformers.utils import cached_file

from kickbert.utils.hub import offline, resolve

FLAG = "pooling_mode_"
POOLINGS = {"cls": "cls", "cls_token": "cls", "max": "max", "max_tokens": "max", "mean": "mean", "mean_tokens": "mean"}
USED = ("Transformer", "Pooling", "Normalize")  # modules of a sentence encoder; lengths of embeddings do not matter


def sentence_pooling(model: str | Path, revision: str | None = None) -> str | None:
    """Look up the pooling of a sentence-transformers model; None for any other model.

    Args:
        model: Hub id, folder or "minilm".
        revision: branch, tag or commit on the Hub.
    Returns:
        "cls", "max" or "mean".
    Warns:
        Another pooling, or a module that is not used.
    """
    name = resolve(model)
    config = _json_of(name, "1_Pooling/config.json", revision)
    if config is None:
        return None
    modes = _modes(config)
    kinds = [module["type"].rpartition(".")[2] for module in _json_of(name, "modules.json", revision) or []]
    unused = [kind for kind in kinds if kind not in USED]
    if unused:
        warnings.warn(f"{model}: its module {unused[0]} is not used, only its encoder and pooling", stacklevel=3)
    if len(modes) == 1 and modes[0] in POOLINGS:
        return POOLINGS[modes[0]]
    warnings.warn(
        f"{model}: its pooling, {' and '.join(modes)}, is not supported; the mean is used instead. Choose another with "
        "pooling='cls', 'max' or 'attention'",
        stacklevel=3,
    )
    return "mean"


def _modes(config: dict[str, Any]) -> list[str]:
    """The modes of a pooling, as sentence-transformers 6 writes them or, with a flag for each, earlier versions."""
    mode = config.get("pooling_mode")
    if mode:
        return [mode] if isinstance(mode, str) else list(mode)
    flags = [key.removeprefix(FLAG) for key, on in config.items() if key.startswith(FLAG) and on]
    return flags or ["mean"]


def _json_of(name: str | Path, file: str, revision: str | None) -> Any:
    """Read a JSON file of a model; None if it has none."""
    path = cached_file(
        name,
        file,
        revision=revision,
        local_files_only=not Path(name).is_dir() and offline(),
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if path is None else json.loads(Path(path).read_text(encoding="utf-8"))
