"""Prediction targets.

Input: a column of labels, lists of labels, or numbers. Output: a `Target` that encodes them and turns the outputs of a
model into predictions. Start reading at `base`, then `fitting.read_target`.
"""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "base": ["Target"],
        "labels": ["Labels", "OrderedLabels"],
        "bins": ["Bins", "UnorderedBins"],
        "multi_labels": ["MultiLabels"],
        "continuous": ["Continuous"],
        "kinds": ["target_class"],
        "options": ["TargetOptions"],
        "fitting": ["fit_target", "read_target"],
        "binning": ["bin_edges"],
        "label_cells": [],
        "label_numbers": [],
        "stratification": [],
        "label_noise": ["label_confidence", "suspected_errors"],
        "directions": [],
        "thresholds": ["best_thresholds"],
        "outputs": ["prediction_frame", "prediction_records"],
    },
)
