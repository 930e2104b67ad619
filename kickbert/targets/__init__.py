"""The targets wing: cells of the target column → codes → predictions.

Comes in: labels, lists of labels, numbers. Goes out: a `Target` that encodes them, and frames of predictions. Start
reading at `kinds`, the four kinds of target, then `fitting.fit_target`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "kinds": ["Bins", "Continuous", "Labels", "MultiLabels"],
        "fitting": ["fit_target", "guess_task"],
        "binning": ["bin_edges"],
        "multilabel": [],
        "stratification": [],
        "label_noise": ["label_confidence", "suspected_errors"],
        "thresholds": ["best_thresholds"],
        "outputs": ["prediction_frame", "prediction_records"],
    },
)
