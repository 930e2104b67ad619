"""The default training chooses fit_few with few labels and says so; fit_gradual always unfreezes."""

from fastai.callback.training import GradientClip

from kickbert.text import EDA
from kickbert.training.few_shot import few_labels
from kickbert.training.fitting import fit_default

FEW = {"pooling": "mean", "valid": 0}


def test_few_labels_train_by_fit_few_unless_it_would_ignore_something(make, reviews):
    assert few_labels(make(reviews.head(80), **FEW)) and not few_labels(make(reviews, **FEW))
    ignored = ({"cbs": GradientClip(1.0)}, {"cbs": "csv"}, {"optimizer": "lamb"}, {"loss": "focal"}, {"pooling": "cls"},
               {"class_weights": "balanced"}, {"sampling": "balanced"}, {"augment": EDA()}, {"head_layers": 2},
               {"schedule": {"epochs": (1, 3)}})  # fmt: skip
    for options in ignored:
        assert not few_labels(make(reviews.head(40), **FEW | options)), options


def test_the_choice_is_printed(make, reviews, capsys):
    assert "steps" in fit_default(make(reviews.head(40), **FEW), instead="pass --epochs")
    line = "Few labels per class, so fit_few() is used. To train layer by layer instead, pass --epochs."
    assert line in capsys.readouterr().out
    assert "epochs" in make(reviews.head(40), **FEW).fit_gradual()
    assert "fit_few() usually does better" in capsys.readouterr().out
    assert "epochs" in fit_default(make(reviews, **FEW)) and "fit_few" not in capsys.readouterr().out
