"""The pooling that a pretrained sentence encoder was trained with."""

import json
from pathlib import Path

from transformers.utils import cached_file

from kickbert.utils.hub import offline, resolve


def sentence_pooling(model: str | Path, revision: str | None = None) -> str | None:
    """Look up the pooling of a sentence-transformers model; None for any other model.

    Args:
        model: Hub id, folder or "minilm".
        revision: branch, tag or commit on the Hub.
    Returns:
        "cls", "max" or "mean".
    """
    name = resolve(model)
    path = cached_file(
        name,
        "1_Pooling/config.json",
        revision=revision,
        local_files_only=not Path(name).is_dir() and offline(),
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if path is None:
        return None
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    keys = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}
    return next((pooling for pooling, key in keys.items() if config.get(key)), "mean")
