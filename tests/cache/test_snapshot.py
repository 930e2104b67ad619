"""A snapshot detects every change of a frozen prefix during a fit."""

import pytest
import torch
from fastai.callback.core import Callback
from helpers.cached import losses
from helpers.settings import SETTINGS, classifier
from transformers import AutoConfig, AutoModel

from kickbert import Cache
from kickbert.cache.keys import prefix_modules
from kickbert.cache.snapshot import Snapshot
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import Encoder
from kickbert.models.head import Head


# The attention implementation is part of the configuration and cannot change during a fit.
@pytest.mark.parametrize("name", sorted(set(SETTINGS) - {"attention"}))
def test_a_changed_setting_is_detected(name):
    model = classifier()
    snapshot = Snapshot(model.precision, prefix_modules(model, 1))
    assert snapshot.holds(model.precision, prefix_modules(model, 1))
    SETTINGS[name](model)
    assert not snapshot.holds(model.precision, prefix_modules(model, 1))


def scale(parameter):
    parameter.data.mul_(-2)


def zero_row(parameter):
    parameter.data[-1] = 0


def zero_column(parameter):
    parameter.data[..., 3] = 0


@pytest.mark.parametrize(
    ("change", "event"), [(scale, "before_validate"), (zero_row, "before_epoch"), (zero_column, "before_validate")]
)
def test_weights_changed_through_data_during_a_fit_are_detected(make, reviews, change, event):
    class Changing(Callback):
        def change(self):
            if self.epoch == 1:
                change(self.model.encoder.layers[0].intermediate.dense.weight)

    setattr(Changing, event, Changing.change)
    curves, scores = [], []
    for cache in (False, Cache()):
        learn = make(reviews, cache=cache, dropout=0.0)
        learn.freeze()
        learn.fit(3, 1e-2, cbs=Changing())
        curves.append(losses(learn))
        scores.append([row[1] for row in learn.recorder.values])
    assert torch.allclose(*curves, rtol=1e-5, atol=1e-6) and scores[1] == pytest.approx(scores[0], abs=1e-5)
    assert learn.cache.info()["rows"].tolist() == [len(reviews)] * 2  # states of both weights


def test_a_changed_tensor_of_a_large_model_is_detected():
    body = AutoModel.from_config(
        AutoConfig.for_model("bert", vocab_size=900, hidden_size=384, num_hidden_layers=1, intermediate_size=1536)
    )
    model = TextClassifier(Encoder(body), Head(384, 2)).eval()
    modules = prefix_modules(model, 1)
    snapshot = Snapshot("fp32", modules)
    assert len(snapshot.sample) < 5000
    for parameter in model.encoder.parameters():
        parameter.data.add_(1)
        assert not snapshot.holds("fp32", modules)
        parameter.data.sub_(1)
        snapshot = Snapshot("fp32", modules)  # of the rounded weights
        parameter.data = parameter.data.clone()
        assert not snapshot.holds("fp32", modules)
        snapshot = Snapshot("fp32", modules)
