"""Training: DataLoaders and a model → a trained `GradualLearner`.

Input: DataLoaders, a `TextClassifier`, a schedule. Output: trained weights, and the ladder with one row per phase.
Start reading at `schedule.Phase`, then `learner.GradualLearner.fit_gradual`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "schedule": ["Phase", "gradual_unfreezing"],
        "curves": ["constant", "cosine", "linear", "one_cycle", "slanted_triangle"],
        "optimizers": ["adamw"],
        "learner": ["GradualLearner"],
        "distributed": [],
        "prediction": [],
        "event_loop": [],
        "needed_rows": [],
        "factories": ["learner_from_artifact", "learner_from_df", "text_learner"],
        "fitting": ["fit_default"],
        "few_shot": ["FewShot", "RECIPES"],
        "ladder": [],
        "presets": [],
        "head_solver": [],
        "column_offsets": [],
        "adaptive": [],
        "guard": ["TrainingDiverged"],
        "collapse": [],
        "history": [],
        "rates": [],
        "losses": ["loss_for"],
        "metrics": ["metrics_for"],
        "recorder": [],
        "row_scores": [],
        "checkpoint": [],
        "run_logs.callback": ["RunLog"],
    },
)
