"""The inference wing: an artifact → predictions, without fastai, and without torch where it is exported.

Comes in: a folder that `save_artifact` wrote, texts, files of any size. Goes out: labels and probabilities, files of
predictions, exported models; before there is an artifact, classes by their names alone (`zero_shot`). Start reading at
`predictor.Predictor`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "predictor": ["Predictor", "load"],
        "backends": [],
        "benchmarking": ["benchmark"],
        "table_writers": [],
        "batch_prediction": ["predict_file"],
        "folders": ["predict_folder"],
        "ray_engine": [],
        "exports.exporting": ["export"],
        "zero_shot_classification": ["zero_shot"],
    },
)
