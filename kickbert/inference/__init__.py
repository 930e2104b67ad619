"""The inference wing: an artifact → predictions, without fastai, and without torch where it is exported.

Comes in: a folder that `save_artifact` wrote, texts, files of any size. Goes out: labels and probabilities, files of
predictions, exported models. Start reading at `predictor.Predictor`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "predictor": ["Predictor", "load"],
        "backends": [],
        "table_writers": [],
        "batch_prediction": ["predict_file"],
        "exporting": ["export"],
        "onnx_graphs": [],
        "row_quantization": [],
        "benchmarking": ["benchmark"],
    },
)
