"""Tasks of saved models, and rewriting a manifest."""

import json
from pathlib import Path

from kickbert.models.artifact.manifest import file_entry

TASKS = {
    "labels": {},
    "bins": {"label_col": "amount", "bins": 3, "bin_format": "$"},
    "several": {"label_col": "tags"},
    "columns": {"label_col": ["warm", "cold"]},
    "number": {"label_col": "amount", "task": "regression"},
    "windows": {"long": "windows", "max_length": 16, "stride": 4},
    "two columns": {"text_col": ["text", "more"], "cleaning": "auto", "head_layers": 2},
}


def reseal(folder: Path) -> None:
    """Rewrite the manifest for the folder's current files."""
    files = {p.name: file_entry(p) for p in folder.iterdir() if p.name != "manifest.json"}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))
