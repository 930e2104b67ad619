"""Self-check of an installation: train, cache, save and export a classifier on generated rows, in half a minute.

generated rows → training with and without the cache → same losses → artifact → same predictions
"""

import io
import time
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from kickbert.cache.storage import Cache
from kickbert.inference.exports.exporting import export
from kickbert.inference.predictor import load
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.saving import save_artifact
from kickbert.training.factories import learner_from_df
from kickbert.training.learner import GradualLearner
from kickbert.training.schedule import gradual_unfreezing
from kickbert.utils.devices import describe_device

WORDS = {"praise": ["great", "warm", "moving", "bright", "lovely"], "blame": ["dull", "cold", "boring", "flat", "poor"]}
ROWS, EPOCHS = 160, (1, 2)
CHANCE = float(np.log(len(WORDS)))  # loss of a model that has learned nothing
TOLERANCE = 1e-3  # for training losses, and for probabilities in fp32; in bf16, ten times as much
Check = tuple[str, str, str]


def self_check(model: str | Path = "minilm") -> pd.DataFrame:
    """Check that training, cache, artifact and export work on this device and give the same results.

    Args:
        model: hub id, folder or "minilm", which is small enough for a quick check.
    Returns:
        One row per check: check, ok ("yes", "no", or "–" if a package is not installed), detail.
    """
    with TemporaryDirectory() as scratch, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        rows = list(_checks(model, Path(scratch)))
    return pd.DataFrame(rows, columns=["check", "ok", "detail"])


def _checks(model: str | Path, scratch: Path) -> Iterator[Check]:
    df = _texts()
    start = time.perf_counter()
    try:
        learn, losses = _train(df, model, scratch, Cache())
    except Exception as err:  # report any failure of the device
        yield "training", "no", f"{type(err).__name__}: {err}".splitlines()[0]
        return
    precision = learn.model.precision
    yield "training device", "yes", describe_device(learn.dls.device, precision)
    learned = losses[-1] < 0.8 * CHANCE  # False for NaN
    seconds = time.perf_counter() - start
    yield "training", _ok(learned), f"training loss {losses[-1]:.3f} (by chance {CHANCE:.3f}) in {seconds:.0f} s"
    _, without = _train(df, model, scratch, False)
    yield _agree("cache", "training losses with and without the cache", losses, without, TOLERANCE)
    folder, probs = save_artifact(learn, scratch / "model"), learn.predict_proba(df)
    loaded = load(folder, backend="torch")
    both = probs, loaded.predict_proba(df)
    tolerance = TOLERANCE * (10 if precision == "bf16" else 1)  # the artifact's predictions are in fp32
    yield _agree("artifact", "probabilities of the learner and of its artifact", *both, tolerance)
    try:
        difference = export(folder, df, ["onnx"]).set_index("format").loc["onnx", "max_difference"]
    except (ImportError, ArtifactError) as err:
        yield "export", "–" if isinstance(err, ImportError) else "no", str(err)
    else:
        yield "export", "yes", f"probabilities of ONNX and torch differ by at most {difference:.1e}"


def _texts() -> pd.DataFrame:
    """Generate rows of two classes with different words."""
    rng = np.random.default_rng(0)
    labels = rng.choice(list(WORDS), ROWS)
    texts = [f"a {' and '.join(rng.choice(WORDS[label], 2))} film, number {i}" for i, label in enumerate(labels)]
    return pd.DataFrame({"text": texts, "label": labels})


def _train(df: pd.DataFrame, model: str | Path, path: Path, cache: bool | Cache) -> tuple[GradualLearner, np.ndarray]:
    """Train a learner by gradual unfreezing; return it with its training loss after each epoch."""
    learn, losses = learner_from_df(df, model=model, path=path, cache=cache, max_length=32, seed=1), []
    learn.logger = lambda values: losses.append(float(values[1]))
    with learn.no_bar():
        learn.fit_gradual(gradual_unfreezing(len(learn.groups), epochs=EPOCHS))
    return learn, np.array(losses)


def _ok(holds: Any) -> str:
    return "yes" if holds else "no"


def _agree(name: str, what: str, one: np.ndarray, other: np.ndarray, tolerance: float) -> Check:
    difference = float(np.abs(np.asarray(one) - np.asarray(other)).max())
    return name, _ok(difference <= tolerance), f"{what} differ by at most {difference:.1e}"
