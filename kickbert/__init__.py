"""A DataFrame of text becomes a gradually unfrozen transformer classifier.

    learn = kickbert.learner_from_df(df)    # columns "text" and "label"
    ladder = learn.fit_gradual()            # the head first, then the last layers
    learn.predict_df(new_df)

What is here, by wing, in the order in which data flows:

data         split                Add a column of train, valid and test rows, stratified.
             explore              Look at a DataFrame of texts before training: duplicates, leaks, lengths, words.
             TextDataLoaders      Batches of texts for training and validation: TextDataLoaders.from_df(df).
models       ArtifactError        Raised for a folder that is no artifact, or one that was cut short or changed.
cache        Cache                Where the states of the frozen part are kept, and how much of them.
training     learner_from_df      Make a learner from a DataFrame.
             text_learner         Make a learner from TextDataLoaders.
             learner_from_artifact    Make a learner that continues from a saved model.
             GradualLearner       A fastai Learner over an encoder's layer groups; fit_gradual trains it.
             Phase                What is trained at one step of the ladder, how long, how fast.
             distill              Train a small model to predict as a large one does, on texts without labels.
             gradual_unfreezing   The list of phases: the head, then the last layers.
             TrainingDiverged     Raised when the loss is no longer a finite number.
evaluation   evaluate             Scores with intervals, beside the baselines.
             calibrate            Scale probabilities by a temperature, so that they mean what they say.
             explain              Words for and against a class.
experiments  cross_validate       k folds that share the cache; out-of-fold predictions.
             compare              Which of several recipes is better, tested on the same folds.
             search               A better recipe than the default, and whether it is one.
             report               One HTML page of how good a model is.
inference    load                 Load an artifact as a predictor, without fastai.
             Predictor            A saved model: predict, predict_proba, predict_df, explain.
             export               Write an artifact's model as ONNX and in int8, compared on rows.
             zero_shot            Classify by class names alone, before there is a label.

The rest is under its wing, with no further import: kickbert.text (columns, cleaning, augmentation), kickbert.targets,
kickbert.data, kickbert.models, kickbert.cache, kickbert.training, kickbert.evaluation (plot_confusion, error_analysis),
kickbert.experiments, kickbert.inference, kickbert.serving, kickbert.labeling (query, read), kickbert.cli,
kickbert.utils.

Names are imported when they are first used, so that `import kickbert` costs nothing.
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
        "inference": ["Predictor", "export", "load", "zero_shot"],
        "serving": [],
        "labeling": [],
        "cli": [],
        "utils": [],
    },
)
