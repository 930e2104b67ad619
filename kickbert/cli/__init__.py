"""The command line: `kickbert train`, `predict`, `serve`, …; each command imports what it needs when it runs.

Start reading at `commands`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "commands": ["app", "main"],
        "arguments": [],
        "training": [],
        "launching": [],
        "prediction": [],
        "functions": [],
        "label_command": [],
        "output": [],
        "output_files": [],
        "tasks": [],
        "rows": [],
        "doctor": [],
    },
)
