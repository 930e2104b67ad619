"""kickbert: a DataFrame of text becomes a gradually unfrozen transformer classifier.

Names are imported when they are first used, so that `import kickbert` costs nothing.
"""

import importlib
import warnings
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "ArtifactError": "artifact",
    "Augmenter": "augment",
    "BackTranslation": "paraphrase",
    "CharacterNoise": "augment",
    "Cleaner": "cleaner",
    "Contextual": "paraphrase",
    "EDA": "augment",
    "Evaluation": "evaluation",
    "Explanation": "highlight",
    "Exploration": "exploration",
    "GradualLearner": "learner",
    "Phase": "schedule",
    "Predictions": "predictions",
    "Predictor": "predictor",
    "Stores": "store",
    "TextBlock": "data",
    "TrainingDiverged": "guard",
    "benchmark": "speed",
    "by_size": "sizes",
    "calibrate": "calibration",
    "compare": "comparison",
    "coverage": "calibration",
    "cross_validate": "crossval",
    "evaluate": "evaluation",
    "explain": "explanation",
    "explore": "exploration",
    "export": "exporting",
    "gradual_unfreezing": "schedule",
    "learner_from_df": "from_df",
    "load": "predictor",
    "plot_attention": "training_plots",
    "plot_calibration": "score_plots",
    "plot_classes": "training_plots",
    "plot_confusion": "score_plots",
    "plot_coverage": "score_plots",
    "plot_ladder": "plots",
    "plot_learning_curves": "training_plots",
    "plot_precision_recall": "score_plots",
    "plot_probe": "training_plots",
    "plot_roc": "score_plots",
    "plot_sizes": "training_plots",
    "plot_values": "score_plots",
    "probe": "probes",
    "report": "reporting",
    "split": "splits",
    "threshold_for": "calibration",
}

__all__ = [
    "EDA",
    "ArtifactError",
    "Augmenter",
    "BackTranslation",
    "CharacterNoise",
    "Cleaner",
    "Contextual",
    "Evaluation",
    "Explanation",
    "Exploration",
    "GradualLearner",
    "Phase",
    "Predictions",
    "Predictor",
    "Stores",
    "TextBlock",
    "TrainingDiverged",
    "benchmark",
    "by_size",
    "calibrate",
    "compare",
    "coverage",
    "cross_validate",
    "evaluate",
    "explain",
    "explore",
    "export",
    "gradual_unfreezing",
    "learner_from_df",
    "load",
    "plot_attention",
    "plot_calibration",
    "plot_classes",
    "plot_confusion",
    "plot_coverage",
    "plot_ladder",
    "plot_learning_curves",
    "plot_precision_recall",
    "plot_probe",
    "plot_roc",
    "plot_sizes",
    "plot_values",
    "probe",
    "report",
    "split",
    "threshold_for",
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
