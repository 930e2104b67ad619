"""kickbert: a DataFrame of text becomes a gradually unfrozen transformer classifier.

Names are imported when they are first used, so that `import kickbert` costs nothing.
"""

import importlib
import warnings
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Augmenter": "augment",
    "BackTranslation": "paraphrase",
    "CharacterNoise": "augment",
    "Cleaner": "cleaner",
    "Contextual": "paraphrase",
    "EDA": "augment",
    "Exploration": "exploration",
    "GradualLearner": "learner",
    "Phase": "schedule",
    "Stores": "store",
    "TextBlock": "data",
    "TrainingDiverged": "guard",
    "explore": "exploration",
    "gradual_unfreezing": "schedule",
    "learner_from_df": "from_df",
    "plot_ladder": "plots",
    "split": "splits",
}

__all__ = [
    "EDA",
    "Augmenter",
    "BackTranslation",
    "CharacterNoise",
    "Cleaner",
    "Contextual",
    "Exploration",
    "GradualLearner",
    "Phase",
    "Stores",
    "TextBlock",
    "TrainingDiverged",
    "explore",
    "gradual_unfreezing",
    "learner_from_df",
    "plot_ladder",
    "split",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kickbert' has no attribute {name!r}; it has {__all__}")
    with warnings.catch_warnings():
        # What torch and fastai say of their own insides at import is nothing that a user of kickbert can act on.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        value = getattr(importlib.import_module(f"kickbert.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
