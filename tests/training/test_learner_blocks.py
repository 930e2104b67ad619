"""Learners on the batches of a fastai DataBlock train with the loss of its blocks."""

import numpy as np
import pytest
import torch
from fastai.data.block import CategoryBlock, DataBlock, MultiCategoryBlock, RegressionBlock, TransformBlock
from fastai.data.transforms import ColReader, RandomSplitter
from fastai.interpret import ClassificationInterpretation
from fastai.learner import load_learner
from fastai.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat
from fastai.metrics import accuracy, accuracy_multi, mae
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

import kickbert
from kickbert import GradualLearner, Phase
from kickbert.data import TextBlock
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head

TRAINED = [Phase("everything", 0, 12, 4e-3)]


def of_block(df, tiny, tmp_path, block, outputs: int, valid: float = 0.2, **kwargs) -> GradualLearner:
    """A learner on the batches of a DataBlock."""
    readers = {"get_x": ColReader("text"), "get_y": ColReader("label"), "splitter": RandomSplitter(valid, seed=1)}
    dls = DataBlock(blocks=(TextBlock(tiny), block), **readers).dataloaders(df, bs=16)
    encoder = load_encoder(tiny)
    return GradualLearner(dls, TextClassifier(encoder, Head(encoder.width, outputs)), path=tmp_path, **kwargs)


def test_a_category_block_trains_with_cross_entropy(reviews, tiny, tmp_path):
    learn = of_block(reviews, tiny, tmp_path, CategoryBlock, 2, metrics=accuracy)
    assert isinstance(learn.loss_func, CrossEntropyLossFlat)
    assert learn.fit_gradual(TRAINED)["accuracy"].iloc[-1] > 0.9
    assert learn.predict("a bright, warm film")[0] == "good"
    again = of_block(reviews, tiny, tmp_path, CategoryBlock, 2, metrics=accuracy)
    assert len(again.fit_gradual(TRAINED, resume=True)) == 1 and again.opt is None  # it was read, not trained


def test_a_multi_category_block_trains_with_a_loss_of_each_label(reviews, tiny, tmp_path):
    labels = [[label, *(["story"] if "story" in text else [])] for text, label in zip(*reviews.T.values, strict=True)]
    learn = of_block(reviews.assign(label=labels), tiny, tmp_path, MultiCategoryBlock, 3, metrics=accuracy_multi)
    assert isinstance(learn.loss_func, BCEWithLogitsLossFlat)
    assert learn.fit_gradual(TRAINED)["accuracy_multi"].iloc[-1] > 0.9
    probs, _, decided = learn.get_preds(with_decoded=True)
    assert torch.equal(decided, probs > 0.5) and (probs.sum(1) > 1.2).any()  # no probabilities of exclusive classes
    assert set(learn.predict("I loved this story")[0]) == {"good", "story"}


def test_a_regression_block_trains_with_the_squared_error(reviews, tiny, tmp_path):
    df = reviews.assign(label=np.where(reviews["label"] == "good", 3.0, -1.0))
    learn = of_block(df, tiny, tmp_path, RegressionBlock, 1, metrics=mae)
    assert learn.fit_gradual(TRAINED)["mae"].iloc[-1] < 0.5
    numbers, truth = learn.get_preds()
    assert torch.allclose(F.mse_loss(numbers.flatten(), truth), torch.tensor(learn.validate()[0]), atol=1e-5)
    assert learn.predict("a bright, warm film")[0][0] == pytest.approx(3, abs=1)


def test_blocks_without_a_loss_raise_an_error(reviews, tiny, tmp_path):
    with pytest.raises(ValueError, match=r"no block of the DataBlock defines a loss\. Pass one, such as"):
        of_block(reviews.assign(label=1.0), tiny, tmp_path, TransformBlock, 1)


def test_methods_that_read_columns_name_the_right_learner(reviews, tiny, tmp_path):
    learn = of_block(reviews, tiny, tmp_path, CategoryBlock, 2)
    calls = [
        lambda: learn.predict_df(reviews),
        lambda: learn.save_artifact(tmp_path / "k"),
        lambda: learn.explain("a film"),
        lambda: kickbert.evaluate(learn),
        lambda: kickbert.evaluate(learn, reviews),
        lambda: kickbert.calibrate(learn),
        lambda: kickbert.report(learn, tmp_path / "report.html"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"learner_from_df\(df, text_col=…, label_col=…\), or predict with"):
            call()
    assert learn.get_preds(dl=learn.dls.test_dl(reviews))[0].shape == (120, 2)


def test_a_block_without_validation_rows_trains_and_is_exported(reviews, tiny, tmp_path):
    learn = of_block(reviews, tiny, tmp_path, CategoryBlock, 2, valid=0.0)
    assert "valid_loss" not in learn.fit_gradual([Phase("head", 3, 1, 1e-3)])
    learn.export("learn.export")
    label, code, probs = load_learner(tmp_path / "learn.export").predict("a bright, warm film")
    assert label == ["bad", "good"][int(code)] and torch.allclose(probs, learn.predict("a bright, warm film")[2])


@pytest.mark.parametrize("function", [F.cross_entropy, lambda x, y: F.cross_entropy(x, y)])
def test_a_function_as_loss_has_the_decisions_of_the_blocks(reviews, tiny, tmp_path, function):
    learn = of_block(reviews, tiny, tmp_path, CategoryBlock, 2, loss_func=function)
    probs, codes, losses = learn.get_preds(with_loss=True)
    assert torch.allclose(losses, -probs[range(24), codes].log(), atol=1e-5)
    assert ClassificationInterpretation.from_learner(learn).confusion_matrix().sum() == 24
