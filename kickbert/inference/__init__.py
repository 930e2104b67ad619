"""Inference: an artifact → predictions, without fastai, and without torch for exported models.

Input: a folder that `save_artifact` wrote, and texts or files of any size. Output: labels and probabilities, files of
predictions, exported models. `load_many` predicts several tasks from one pass of a shared encoder; `zero_shot`
classifies by class names alone. Start reading at `predictor.Predictor`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "predictor": ["Predictor", "load"],
        "many_tasks": ["TaskPredictors", "load_many"],
        "backends": [],
        "benchmarking": ["benchmark"],
        "batch_prediction": ["predict_file"],
        "folders": ["predict_folder"],
        "ray_engine": [],
        "exports.exporting": ["export"],
        "zero_shot_classification": ["zero_shot"],
    },
)
