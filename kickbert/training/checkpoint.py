"""The checkpoint at the end of each phase: one safetensors file, replaced as a whole."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kickbert.utils.atomic_files import replacing


def save_phase(file: Path, parameters: dict[str, Tensor], key: str, rows: list[dict]) -> None:
    """Write what the run trains, and the ladder so far.

    Args:
        file: where to.
        parameters: by name, all that any phase of the run trains, so that the whole run can be gone back to.
        key: digest of what the run depends on.
        rows: the ladder, a dict for each phase that is done.
    """
    with replacing(file) as part:
        save_file(
            {name: p.detach().cpu().contiguous() for name, p in parameters.items()},
            part,
            metadata={"key": key, "rows": json.dumps(rows)},
        )


def load_phase(file: Path, model: nn.Module, key: str) -> list[dict] | None:
    """Read a checkpoint into the model.

    Returns:
        The ladder so far, a dict for each phase that is done; None when there is no checkpoint.
    Raises:
        ValueError: the checkpoint is of a run with other data, model, schedule or seed.
    """
    if not file.exists():
        return None
    with safe_open(file, framework="pt") as checkpoint:
        metadata = checkpoint.metadata()
    if metadata["key"] != key:
        raise ValueError(
            f"the checkpoint {file} is of a run with other rows, model, schedule or seed; "
            "give those again, or start afresh with resume=False"
        )
    model.load_state_dict(load_file(file), strict=False)
    return json.loads(metadata["rows"])
