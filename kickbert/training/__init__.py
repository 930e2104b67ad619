"""The training wing: DataLoaders and a model → a trained `GradualLearner`.

Comes in: DataLoaders, a `TextClassifier`, a schedule. Goes out: trained weights and the ladder, a row per phase. Start
reading at `schedule.Phase`, then `learner.GradualLearner.fit_gradual`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "schedule": [
            "Phase",
            "adamw",
            "constant",
            "cosine",
            "gradual_unfreezing",
            "linear",
            "one_cycle",
            "slanted_triangle",
        ],
        "learner": ["GradualLearner"],
        "distributed": [],
        "prediction": [],
        "factories": ["learner_from_artifact", "learner_from_df", "text_learner"],
        "fitting": ["fit_default"],
        "few_shot": ["FewShot", "RECIPES"],
        "ladder": [],
        "callbacks": ["TrainingDiverged"],
        "losses": ["loss_for"],
        "metrics": ["metrics_for"],
        "checkpoint": [],
        "run_logs.callback": ["RunLog"],
    },
)
