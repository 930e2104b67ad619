"""A collapsed model is reported."""

import torch


def test_a_model_that_predicts_one_class_is_reported(make, reviews):
    learn = make(reviews, valid=0.4)
    learn.validate()
    learn.collapse.predicted, learn.collapse.rows = torch.tensor([1]), 48
    assert learn.collapse.message(learn.target).startswith("the model predicts 'good' for all 48 validation rows")
    learn.collapse.rows = learn.collapse.MIN_ROWS - 1
    assert learn.collapse.message(learn.target) is None  # so few rows may well be alike
    learn.collapse.predicted, learn.collapse.rows = torch.tensor([0, 1]), 48
    assert learn.collapse.message(learn.target) is None
