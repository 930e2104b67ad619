"""Fine-tune a transformer classifier from a DataFrame with text.

    learn = kickbert.learner_from_df(df)    # columns "text" and "label"
    ladder = learn.fit_gradual()            # the head, then the last layers
    learn.predict_df(new_df)

Top-level names by package, in the order in which data flows:

data         split                    Add a column of train, valid, and test rows, stratified.
             explore                  Look at a DataFrame before training: duplicates, leaks, lengths, words.
             TextDataLoaders          Batches for training and validation: TextDataLoaders.from_df(df).
models       ArtifactError            Raised for a folder that is not an artifact, or is incomplete or changed.
cache        Cache                    Where the states of the frozen part are stored, and how much of them.
training     learner_from_df          Make a learner from a DataFrame.
             text_learner             Make a learner from TextDataLoaders.
             learner_from_artifact    Make a learner that continues from a saved model.
             GradualLearner           A fastai Learner over an encoder's layer groups; fit_gradual trains it.
             Phase                    One phase of the schedule: which groups train, how long, how fast.
             gradual_unfreezing       The list of phases: the head, then the last layers.
             TrainingDiverged         Raised when the loss is no longer a finite number.
evaluation   evaluate                 Scores with intervals, and baselines.
             calibrate                Scale probabilities by a temperature so that they match the accuracy.
             explain                  Words for and against a class.
experiments  cross_validate           k folds that share the cache; out-of-fold predictions.
             compare                  Test which of several recipes is better, on the same folds.
             search                   Search for a better recipe, and test it against the default.
             distill                  Train a small model to predict like a large one, on unlabeled texts.
             report                   One HTML page about the quality of a model.
inference    load                     Load an artifact as a predictor, without fastai.
             load_many                Load models that share an encoder, which runs once per text for all of them.
             Predictor                A saved model: predict, predict_proba, predict_df, explain.
             export                   Export an artifact to ONNX and int8, checked on labeled rows.
             zero_shot                Classify by class names alone, before there are labels.

Everything else is in its package and needs no further import: kickbert.text (columns, cleaning, augmentation),
kickbert.targets, kickbert.data, kickbert.models, kickbert.cache, kickbert.training, kickbert.evaluation
(plot_confusion), kickbert.experiments, kickbert.inference, kickbert.serving, kickbert.labeling (query, read),
kickbert.cli, kickbert.utils.

Names are imported on first use, so `import kickbert` is fast.
"""

from kickbert.utils.lazy import attach

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "text": [],
        "targets": [],
        "data": ["TextDataLoaders", "explore", "split"],
        "models": ["ArtifactError"],
        "cache": ["Cache"],
        "training": [
            "GradualLearner",
            "Phase",
            "TrainingDiverged",
            "gradual_unfreezing",
            "learner_from_artifact",
            "learner_from_df",
            "text_learner",
        ],
        "evaluation": ["calibrate", "evaluate", "explain"],
        "experiments": ["compare", "cross_validate", "distill", "report", "search"],
        "inference": ["Predictor", "export", "load", "load_many", "zero_shot"],
        "serving": [],
        "labeling": [],
        "cli": [],
        "utils": [],
    },
)
