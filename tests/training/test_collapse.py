"""A model that has learned too little is reported, with the call and the command that train longer."""

import numpy as np
import pytest
import torch

from kickbert.evaluation.collapse import MIN_ROWS

SHORT = {"epochs": (1, 2)}
CALL = "Train longer: learner_from_df(…, schedule={'epochs': (1, 8)}).fit_gradual(), or kickbert train … --epochs 8"


def test_a_model_that_predicts_one_class_is_reported(make, reviews):
    learn = make(reviews, valid=0.4, schedule=SHORT)
    learn.validate()
    learn.collapse.predicted, learn.collapse.rows = torch.tensor([1]), 48
    message = learn.collapse.message()
    assert message.startswith("the model predicts 'good' for all 48 validation rows. " + CALL)
    assert "more rows" not in message and "label" not in message
    learn.collapse.rows = MIN_ROWS - 1
    assert learn.collapse.message() is None  # so few rows may well be alike
    learn.collapse.predicted, learn.collapse.rows = torch.tensor([0, 1]), 48
    assert learn.collapse.message() is None


def test_validation_rows_of_one_class_are_no_collapse(make, reviews):
    rows = reviews.assign(split=np.where(reviews["label"].eq("good") & (reviews.index > 60), "valid", "train"))
    learn = make(rows, valid="split")
    learn.validate()
    learn.collapse.predicted, learn.collapse.rows = torch.tensor([1]), 48
    assert learn.collapse.message() is None


@pytest.mark.parametrize("kind", ["single", "several", "number", "balanced", "bins"])
def test_a_loss_that_has_hardly_moved_is_reported(make, reviews, kind):
    amount = np.where(reviews["label"] == "good", 1.0, 9.0) + np.arange(len(reviews)) % 7 / 10
    tags = [["x", label] if i % 3 else ["y"] for i, label in enumerate(reviews["label"])]
    options = {
        "single": {},
        "balanced": {"class_weights": "balanced"},
        "several": {"label_col": "tags"},
        "number": {"label_col": "amount", "task": "regression"},
        "bins": {"label_col": "amount", "bins": 3},
    }[kind]
    learn = make(reviews.assign(amount=amount, tags=tags), valid=0.3, schedule=SHORT, **options)
    with pytest.warns(UserWarning, match=r"schedule=\{'epochs': \(1, 8\)\}"):
        learn.fit_one_cycle(2, 1e-7)
    learn.collapse.predicted = None  # whatever it predicts
    assert learn.collapse.message().startswith("the loss has hardly moved: it is still near that of always predicting")


def test_a_model_that_has_learned_is_not_reported(make, reviews, recwarn):
    learn = make(reviews, valid=0.3)
    learn.fit_one_cycle(6, 4e-3)
    learn.lr_find(show_plot=False)  # which trains and undoes it
    assert learn.collapse.message() is None and not [w for w in recwarn if "Train longer" in str(w.message)]


def test_the_advice_doubles_a_schedule_that_was_too_short(make, reviews):
    learn = make(reviews, valid=0.4, schedule={"epochs": (3, 10), "lr": 1e-8})
    learn.validate()
    learn.collapse.predicted, learn.collapse.rows = torch.tensor([1]), 48
    assert "schedule={'epochs': (3, 20)}" in learn.collapse.message() and "--epochs 20" in learn.collapse.message()


def test_the_advice_is_longer_than_what_was_done(make, reviews):
    default = make(reviews, valid=0.4)
    assert default.longer == (1, 2 * default.phases()[-1].epochs) and default.longer[-1] > 16  # few steps in an epoch
    learn = make(reviews, valid=0.4, schedule={"layers": (0, 1, 2), "epochs": (1, 1, 2)})
    assert learn.longer == (1, 1, 8)
    learn.fit_one_cycle(7, 1e-3)
    assert learn.longer == (1, 1, 14)
