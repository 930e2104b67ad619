"""The default training of commands, folds and reports: `fit_few` with few labels per class, otherwise `fit_gradual`."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from kickbert.training.few_shot import few_labels
from kickbert.training.presets import check_preset
from kickbert.utils.progress import say

if TYPE_CHECKING:
    from kickbert.training.learner import GradualLearner


def fit_default(
    learn: "GradualLearner",
    preset: str | None = None,
    budget: str | float | None = None,
    instead: str = "call fit_gradual()",
    calibrate: bool = True,
) -> pd.DataFrame:
    """Train a learner by the method that suits its rows, and print a line if that is `fit_few`.

    Args:
        learn: the learner.
        preset: preset of `GradualLearner.fit_gradual`, which is then used.
        budget: maximum training time, as for `GradualLearner.fit_gradual`, which is then used.
        instead: advice on how to train layer by layer, for the printed line.
        calibrate: as for `GradualLearner.fit_gradual`.

    Returns:
        The ladder, one row per phase.
    """
    if preset is None and budget is None and few_labels(learn):
        say(f"Few labels per class, so fit_few() is used. To train layer by layer instead, {instead}.")
        return learn.fit_few(calibrate=calibrate)
    return learn.fit_gradual(preset, budget=budget, calibrate=calibrate)


def fit_function(fit: Callable[[Any], Any] | str) -> Callable[[Any], Any]:
    """Return a function that trains a learner: the given one, or `fit_gradual` with the preset of this name.

    Raises:
        ValueError: there is no preset of this name.
    """
    if not isinstance(fit, str):
        return fit
    check_preset(fit)
    return partial(fit_default, preset=fit)
