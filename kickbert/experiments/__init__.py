"""Experiments: cross-validation, comparison, hyperparameter search, distillation, learning curves, tracking, reports.

Input: a DataFrame and the arguments of `learner_from_df`. Output: tables of scores, an HTML report, MLflow runs.
Start reading at `cross_validation.cross_validate`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cross_validation": ["CrossValidation", "cross_validate"],
        "comparison": ["Comparison", "compare"],
        "learning_curves": ["by_size"],
        "searching": ["search"],
        "search_results": ["Search"],
        "search_space": [],
        "distillation": ["distill"],
        "teachers": [],
        "reporting": ["report"],
        "tracking": ["log_run"],
        "self_check": [],
        "plots": ["plot_importances", "plot_ladder", "plot_learning_curves", "plot_search", "plot_sizes"],
    },
)
