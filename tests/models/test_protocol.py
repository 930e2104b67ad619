"""A learner and a predictor satisfy the same protocol."""

import inspect

import pandas as pd

from kickbert import Predictor
from kickbert.models.protocol import TextModel, is_model
from kickbert.training.learner import GradualLearner

MEMBERS = [name for name in vars(TextModel) if not name.startswith("_")]


def test_learner_and_predictor_have_every_member():
    assert len(MEMBERS) >= 10
    for kind in (GradualLearner, Predictor):
        for name in MEMBERS:
            assert isinstance(vars(TextModel)[name], property) == isinstance(getattr(kind, name), property), name


def test_arguments_match_the_protocol():
    for kind in (GradualLearner, Predictor):
        for name in ("read", "predict_proba", "predict_df", "decide", "labeled_rows"):
            expected = list(inspect.signature(getattr(TextModel, name)).parameters)
            assert list(inspect.signature(getattr(kind, name)).parameters)[: len(expected)] == expected, (kind, name)


def test_models_are_distinguished_from_labels_and_frames(make, reviews):
    assert is_model(make(reviews))
    assert not any(map(is_model, [reviews, pd.Series([1]), ["good"], lambda texts: texts, None, GradualLearner]))
