"""Evaluation: predictions and true labels → scores with confidence intervals, explanations, plots.

Input: a learner or a predictor and rows, or labels and probabilities. Output: tables and figures. Start reading at
`predictions.Predictions`, then `evaluation.evaluate`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "predictions": ["Predictions"],
        "decisions": [],
        "ranking": [],
        "reliability": [],
        "scores": [],
        "significance": [],
        "baselines": [],
        "evaluation": ["Evaluation", "evaluate"],
        "groups": [],
        "collapse": [],
        "conclusions": [],
        "calibration": ["calibrate"],
        "selective_prediction": ["coverage", "threshold_for"],
        "error_analysis": ["confident_mistakes", "confused_pairs", "label_errors", "leaks"],
        "data_slices": ["slices", "weak_slices"],
        "findings": [],
        "explanation": ["Explanation", "explain"],
        "occlusion": [],
        "attribution": ["attribute", "plot_attention"],
        "probing": ["enough_layers", "plot_probe", "probe"],
        "plots": [
            "plot_calibration",
            "plot_confusion",
            "plot_coverage",
            "plot_precision_recall",
            "plot_roc",
            "plot_values",
        ],
    },
)
