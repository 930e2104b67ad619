"""Training with and without the cache gives the same numbers."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.callback.training import GradientAccumulation
from fasttransform import Transform
from helpers.cached import both, counted

from kickbert import Cache, Phase
from kickbert.cache.building import TOKENS
from kickbert.data.transforms import Tokens
from kickbert.text.tokenization import PAD

PHASES = [Phase("head", 3, 2, 1e-2), Phase("last layer", 2, 2, 3e-3, 0.9)]  # both take steps


@pytest.fixture
def stores():
    return Cache()


def one_cycle(learn):
    learn.freeze_to(2)
    learn.fit_one_cycle(2, 1e-3)


WORKS = {
    "one cycle after freeze_to": one_cycle,
    "gradual": lambda learn: learn.fit_gradual(PHASES),
    "fine_tune": lambda learn: learn.fine_tune(1, freeze_epochs=2),
    "accumulation": lambda learn: (learn.freeze(), learn.fit(2, 1e-3, cbs=GradientAccumulation(32))),
    "save and stop": lambda learn: (
        learn.freeze_to(-2),
        learn.fit(3, 1e-2, cbs=[SaveModelCallback(), EarlyStoppingCallback(patience=1)]),
    ),
    "lr_find": lambda learn: (learn.freeze_to(-2), learn.lr_find(num_it=12, show_plot=False)),
}


@pytest.mark.parametrize("work", WORKS)
def test_the_same_numbers_with_and_without(make, reviews, work):
    plain, cached, learn = both(make, reviews, WORKS[work])
    assert plain.shape == cached.shape and torch.allclose(plain, cached, rtol=1e-5, atol=1e-6)
    assert learn.cache.info()["tokens"].sum() > 0


def reverse(learn):
    learn.learn.xb, learn.learn.yb = (learn.xb[0].flip(0),), (learn.yb[0].flip(0),)


def keep_half(learn):
    learn.learn.xb, learn.learn.yb = (learn.xb[0][::2],), (learn.yb[0][::2],)


def drop_words(learn):
    learn.xb[0][:, 2::3] = 3  # in place, like word dropout, but always the same words


def widen(learn):
    learn.learn.xb = (torch.nn.functional.pad(learn.xb[0], (0, 3), value=PAD),)


class Changing(Callback):
    """Change a batch on its way to the model, before or after the cache."""

    def __init__(self, change, order):
        self.change, self.order = change, order

    def before_batch(self):
        self.change(self)


class Looking(Callback):
    """Run the model on other texts during a step."""

    def after_step(self):
        self.model.eval()
        self.model(self.xb[0].flip(0))
        self.model.train()


def test_running_the_model_on_other_texts_during_a_step_changes_nothing(make, reviews, capsys):
    def work(learn):
        learn.freeze()
        learn.fit(2, 1e-2, cbs=Looking())

    plain, cached, learn = both(make, reviews, work)
    assert torch.allclose(plain, cached, rtol=1e-5, atol=1e-6)
    assert learn.cache.info()["seconds saved"].iloc[0] > 0 and "computed in each epoch" not in capsys.readouterr().out


WINDOWS = {"long": "windows", "max_length": 6, "stride": 1}


@pytest.mark.parametrize(
    ("change", "order", "windows"),
    [(reverse, 0, {}), (keep_half, 95, {}), (drop_words, 0, WINDOWS), (widen, 95, WINDOWS), (drop_words, 95, {})],
)
def test_a_batch_that_a_callback_changed_is_computed(make, reviews, change, order, windows, capsys):
    def work(learn):
        learn.freeze()
        learn.fit(2, 1e-2, cbs=Changing(change, order))

    plain, cached, learn = both(make, reviews, work, **windows)
    assert torch.allclose(plain, cached, rtol=1e-5, atol=1e-6)
    assert learn.cache.info()["tokens"].iloc[0] > 0  # there were states to serve
    assert capsys.readouterr().out.count("changed the batches") == 1
    learn.add_cb(Changing(change, order))
    scores = list(learn.validate())
    learn.remove_cb(learn.cache)
    assert scores == pytest.approx(list(learn.validate()), abs=1e-5)


def test_word_dropout_in_batch_tfms_takes_effect(make, reviews):
    def drop(x: Tokens):
        x[:, 2::3] = 3
        return x

    def work(learn):
        if dropping:
            learn.dls.add_tfms([Transform(drop)], "after_batch")
        learn.freeze()
        learn.fit(2, 1e-2)

    dropping = False
    _, undisturbed, _ = both(make, reviews, work)
    dropping = True
    plain, cached, _ = both(make, reviews, work)
    assert torch.allclose(plain, cached, rtol=1e-5, atol=1e-6) and not torch.allclose(cached, undisturbed, atol=2e-5)


def test_a_callback_sees_the_batch_as_it_is_and_may_run_the_model_again(make, reviews):
    seen = []

    class Twice(Callback):
        def after_pred(self):
            seen.append(len(self.xb))
            again = self.model(*self.xb)
            assert torch.allclose(again, self.pred, atol=1e-6)

    learn = make(reviews, cache=Cache(), dropout=0.0)
    learn.freeze()
    learn.fit(1, 1e-3, cbs=Twice())
    assert set(seen) == {1} and learn.model.cached_states is None


def test_cached_states_do_not_outlive_an_error_in_a_batch(make, reviews):
    class Fails(Callback):
        def after_pred(self):
            raise RuntimeError("stop")

    learn = make(reviews, cache=Cache())
    learn.freeze()
    with pytest.raises(RuntimeError, match="stop"):
        learn.fit(1, 1e-3, cbs=Fails())
    assert learn.model.cached_states is not None
    assert pickle.loads(pickle.dumps(learn.model)).cached_states is None  # it would hold the training rows
    learn.remove_cbs(Fails)
    learn.unfreeze()
    learn.fit(1, 1e-3)
    assert learn.model.cached_states is None


def test_batches_of_one_shape_give_bitwise_equal_losses(make, tiny_tok, monkeypatch):
    """Rounding depends on the shape of a matrix product; with equal shapes, losses must be identical."""
    words = ["warm", "dull", "flat", "cold", "good", "real"]
    texts = [" ".join(chosen) for chosen in itertools.permutations(words, 5)]
    lengths = pd.Series([len(ids) for ids in tiny_tok(texts)["input_ids"]])
    usual = lengths.mode()[0]
    texts = [text for text, n in zip(texts, lengths, strict=True) if n == usual][:96]
    df = pd.DataFrame({"text": texts, "label": ["a", "b"] * 48})
    monkeypatch.setitem(TOKENS, "cpu", 16 * usual)
    plain, cached, _ = both(make, df, WORKS["gradual"], valid=range(16))
    assert torch.equal(plain, cached)


def test_bf16_only_differs_by_rounding(make, reviews):
    plain, cached, _ = both(make, reviews, WORKS["gradual"], precision="bf16")
    assert torch.allclose(plain, cached, atol=0.02)


def test_the_prefix_runs_once_per_row(make, reviews, stores, monkeypatch):
    learn = make(reviews, cache=stores)
    rows = counted(monkeypatch, learn, 0)
    learn.fit_gradual(PHASES)
    learn.freeze_to(2)
    learn.fit_one_cycle(1, 1e-3)
    learn.validate()
    learn.get_preds()
    assert sum(rows) == len(reviews)


def test_folds_seeds_and_trials_share_a_store(make, reviews, stores, monkeypatch):
    make(reviews, cache=stores, seed=1).fit_gradual(PHASES)
    for learn in (make(reviews, cache=stores, seed=2), make(reviews, cache=stores, valid=reviews.index[:40])):
        rows = counted(monkeypatch, learn, 0)
        learn.fit_gradual(PHASES)
        assert sum(rows) == 0


def changed_weights(make, reviews, stores, name):
    learn = make(reviews, cache=stores)
    dict(learn.model.named_parameters())[name].data.add_(0.1)
    return learn


CHANGES = {
    "an embedding": lambda *a: changed_weights(*a, "encoder.body.embeddings.word_embeddings.weight"),
    "a layer's weight": lambda *a: changed_weights(*a, "encoder.body.encoder.layer.0.output.dense.bias"),
    "max_length": lambda make, reviews, stores: make(reviews, cache=stores, max_length=4),
    "texts": lambda make, reviews, stores: make(reviews.assign(text="so " + reviews["text"]), cache=stores),
    "precision": lambda make, reviews, stores: make(reviews, cache=stores, precision="bf16"),
}


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
@pytest.mark.parametrize("change", CHANGES)
def test_a_stale_store_is_never_served(make, reviews, stores, change, monkeypatch):
    make(reviews, cache=stores).fit_gradual(PHASES)
    learn = CHANGES[change](make, reviews, stores)
    rows = counted(monkeypatch, learn, 0)
    learn.fit_gradual(PHASES)
    assert sum(rows) == len({key for dl in learn.dls for key in dl.rows[0].keys}) > 0


def test_weights_changed_between_fit_and_validation(make, reviews, stores):
    learn = make(reviews, cache=stores)
    learn.fit_gradual(PHASES)
    before = learn.validate()[0]
    learn.model.encoder.body.encoder.layer[0].output.dense.weight.data.mul_(-3)
    after = learn.validate()[0]
    learn.remove_cb(learn.cache)
    assert after == pytest.approx(learn.validate()[0], abs=1e-6) and abs(after - before) > 1e-6


def test_a_layer_that_trains_is_not_read_from_a_store(make, reviews, stores):
    learn = make(reviews, cache=stores)
    learn.fit_gradual(PHASES)
    learn.unfreeze()
    learn.fit(1, 1e-3)
    loss = learn.validate()[0]
    learn.remove_cb(learn.cache)
    assert loss == pytest.approx(learn.validate()[0], abs=1e-6)


def test_new_texts_are_predicted_without_a_store(make, reviews, stores):
    learn = make(reviews, cache=stores)
    learn.fit_gradual(PHASES)
    rows = learn.cache.info()["rows"].sum()
    cached = learn.predict_df(reviews.assign(text=reviews["text"] + " indeed"))
    assert learn.cache.info()["rows"].sum() == rows
    learn.remove_cb(learn.cache)
    assert np.allclose(
        cached["confidence"], learn.predict_df(reviews.assign(text=reviews["text"] + " indeed"))["confidence"]
    )


def test_attention_pooling_keeps_states_not_vectors(make, reviews, stores):
    plain, cached, learn = both(make, reviews, lambda learn: (learn.freeze(), learn.fit(2, 1e-2)), pooling="attention")
    assert torch.allclose(plain, cached, atol=1e-5)
    info = learn.cache.info().iloc[0]
    assert info["depth"] == 2 and info["tokens"] > info["rows"]


def test_the_model_and_its_state_dict_are_unchanged(make, reviews, stores):
    learn = make(reviews, cache=stores)
    names = list(learn.model.state_dict())
    model = learn.model
    learn.fit_gradual(PHASES)
    assert learn.model is model and list(model.state_dict()) == names


def test_info_describes_the_stores_and_the_time_saved(make, reviews, stores):
    learn = make(reviews, cache=stores)
    assert learn.cache.info().empty
    learn.fit_gradual(PHASES)
    info = learn.cache.info().set_index("depth")
    tokens = sum(int(dl.rows[0].offsets[-1]) for dl in learn.dls)
    assert info.loc[1, "tokens"] == tokens and info.loc[1, "bytes"] == tokens * 32 * 4
    assert info.loc["pooled", "tokens"] == info.loc["pooled", "rows"] == 120
    assert (info["seconds to build"] > 0).all()
    assert info.loc[1, "seconds saved"] > 0 and info.loc["pooled", "seconds saved"] >= 0


def test_cache_off(make, reviews, monkeypatch):
    learn = make(reviews, cache=False)
    assert not hasattr(learn, "cache")
    rows = counted(monkeypatch, learn, 0)
    learn.freeze()
    learn.fit(2, 1e-3)
    assert sum(rows) == 240
