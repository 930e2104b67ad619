"""What changes the states of the frozen part, beside weights and rows, is in their key, or switches the cache off."""

import shutil
import threading

import pytest
import torch
from fastai.callback.core import Callback
from helpers.cached import both, counted, losses
from helpers.encoders import padded_batch, random_encoder
from torch import nn
from transformers import AutoConfig, AutoModel

from kickbert import Cache
from kickbert.cache.keys import Snapshot, prefix_keys, prefix_modules, why_not_cacheable
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import LAYERS, Encoder, load_encoder
from kickbert.models.head import Head


def classifier(kind: str = "bert") -> TextClassifier:
    return TextClassifier(random_encoder(kind), Head(32, 2)).eval()


def test_prefix_keys_depend_on_what_lies_below_only():
    torch.manual_seed(0)
    body = AutoModel.from_config(
        AutoConfig.for_model(
            "bert", vocab_size=20, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8
        )
    )
    model = TextClassifier(Encoder(body), Head(8, 2))
    before = prefix_keys(model, 3)
    with torch.no_grad():
        body.encoder.layer[1].output.dense.weight.add_(1)
    after = prefix_keys(model, 3)
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, False]


@pytest.mark.parametrize("kind", LAYERS)
def test_a_forward_changes_no_key(kind):
    model = classifier(kind)
    depth = model.encoder.n_layers
    keys, modules = prefix_keys(model, depth), prefix_modules(model, depth)
    snapshot = Snapshot("fp32", modules)
    ids, mask = padded_batch()
    with torch.no_grad():
        model(ids.masked_fill(~mask, -1))
        model.encoder.prefix(ids, mask, 1)
    assert prefix_keys(model, depth) == keys and snapshot.holds("fp32", modules)
    assert why_not_cacheable(modules) is None


class Own(nn.Module):
    def forward(self, x):
        return x.relu()


def redefined() -> type:
    class Own(nn.Module):
        def forward(self, x):
            return x.tanh()

    Own.__qualname__ = "Own"
    return Own


def set_activation(activation):
    def change(model):
        model.encoder.layers[0].intermediate.intermediate_act_fn = activation

    return change


SETTINGS = {
    "activation": set_activation(nn.ReLU()),
    "activation of one's own": set_activation(Own()),
    "another of the same name": set_activation(redefined()()),
    "epsilon": lambda model: setattr(model.encoder.layers[0].output.LayerNorm, "eps", 0.1),
    "epsilon of embeddings": lambda model: setattr(model.encoder.body.embeddings.LayerNorm, "eps", 0.1),
    "buffer": lambda model: model.encoder.body.embeddings.position_ids.add_(1),
    "attribute": lambda model: setattr(model.encoder.layers[0].attention.self, "scaling", 0.3),
    "tensor": lambda model: setattr(model.encoder.layers[0], "shift", torch.ones(3)),
    "function": lambda model: setattr(model.encoder.layers[0], "act", lambda x: x.relu()),
    "another function": lambda model: setattr(model.encoder.layers[0], "act", lambda x: x.tanh()),
    "attention": lambda model: model.encoder.body.set_attn_implementation("eager"),
    "precision": lambda model: setattr(model, "precision", "bf16"),
}


def test_each_setting_has_a_key_of_its_own():
    keys = [prefix_keys(classifier(), 1)[1]]
    for change in SETTINGS.values():
        model = classifier()
        change(model)
        keys.append(prefix_keys(model, 1)[1])
    assert len(set(keys)) == len(keys)


# The attention is the configuration's, set before a fit.
@pytest.mark.parametrize("name", sorted(set(SETTINGS) - {"attention"}))
def test_a_snapshot_tells_that_a_setting_changed(name):
    model = classifier()
    snapshot = Snapshot(model.precision, prefix_modules(model, 1))
    assert snapshot.holds(model.precision, prefix_modules(model, 1))
    SETTINGS[name](model)
    assert not snapshot.holds(model.precision, prefix_modules(model, 1))


@pytest.mark.parametrize("name", ["activation", "epsilon", "buffer"])
def test_another_setting_gets_no_states_of_another_model(make, reviews, name):
    def changed(learn):
        SETTINGS[name](learn.model)
        fit(learn)

    def fit(learn):
        learn.freeze()
        learn.fit(2, 1e-2)

    cache = Cache()
    for work in (fit, changed, fit):
        plain, cached = make(reviews, cache=False, dropout=0.0), make(reviews, cache=cache, dropout=0.0)
        work(plain), work(cached)
        assert torch.allclose(losses(plain), losses(cached), rtol=1e-5, atol=1e-6)
    assert len(cache.by_key) == 2  # and the first model's states were found again


def noise(module, args, output):
    """NEFTune's noise (Jain et al. 2023), drawn anew in each forward."""
    return output + torch.empty_like(output).uniform_(-1, 1)


def run_with_global_hook(learn):
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    try:
        freeze_and_fit(learn)
    finally:
        handle.remove()


def other_forward(learn):
    layer = learn.model.encoder.layers[0]
    forward = layer.forward
    layer.forward = lambda hidden, *args, **kwargs: noise(layer, hidden, forward(hidden, *args, **kwargs))
    freeze_and_fit(learn)


def freeze_and_fit(learn, *cbs):
    torch.manual_seed(1)
    learn.freeze()
    learn.fit(2, 1e-2, cbs=list(cbs))


class Training(Callback):
    """Sets the frozen part to training mode, in which it drops units."""

    def before_train(self):
        self.model.encoder.train()


HINDRANCES = {
    "noise on embeddings": lambda learn: (
        learn.model.encoder.body.embeddings.register_forward_hook(noise),
        freeze_and_fit(learn),
    ),
    "a hook before a layer": lambda learn: (
        learn.model.encoder.layers[0].register_forward_pre_hook(lambda m, args: (noise(m, args, args[0]), *args[1:])),
        freeze_and_fit(learn),
    ),
    "a hook on the encoder": lambda learn: (
        learn.model.encoder.register_forward_hook(noise),
        freeze_and_fit(learn),
    ),
    "hooks on all modules": run_with_global_hook,
    "another forward": other_forward,
    "training mode": lambda learn: freeze_and_fit(learn, Training()),
}


@pytest.mark.parametrize("name", HINDRANCES)
def test_what_may_differ_from_step_to_step_is_not_kept(make, reviews, name, capsys):
    plain, cached, learn = both(make, reviews, HINDRANCES[name], encoder_dropout=0.1)
    assert torch.equal(plain, cached)
    assert learn.cache.info().empty
    assert capsys.readouterr().out.count("the frozen part is computed each time, for its") == 1


def test_a_setting_that_cannot_be_compared_keeps_a_prefix_from_being_cached(make, reviews, capsys):
    learn = make(reviews, cache=Cache())
    learn.model.encoder.layers[0].lock = threading.Lock()
    learn.freeze()
    learn.fit(2, 1e-3)
    line = "the frozen part is computed each time, for the lock may differ in another process"
    assert capsys.readouterr().out.count(line) == 1 and learn.cache.info().empty


def test_a_hook_removed_within_a_fit_does_not_matter_from_then_on(make, reviews, monkeypatch):
    class Leaves(Callback):
        def before_epoch(self):
            if self.epoch == 1:
                handle.remove()

    learn = make(reviews, cache=Cache())
    handle = learn.model.encoder.layers[0].register_forward_hook(noise)
    rows = counted(monkeypatch, learn, 0)
    learn.freeze()
    learn.fit(4, 1e-3, cbs=Leaves())
    assert sum(rows) == 2 * len(reviews)  # the first epoch, and the states of the others


def test_the_path_of_a_model_is_not_in_its_keys(tiny, tmp_path):
    copy = shutil.copytree(tiny, tmp_path / "copy")
    first, second = (TextClassifier(load_encoder(folder), Head(32, 2)) for folder in (tiny, copy))
    assert prefix_keys(first, 2) == prefix_keys(second, 2)


def test_a_hook_of_one_learner_spoils_no_states_of_another(make, reviews):
    cache = Cache()
    HINDRANCES["noise on embeddings"](make(reviews, cache=cache, dropout=0.0))
    plain, cached = make(reviews, cache=False, dropout=0.0), make(reviews, cache=cache, dropout=0.0)
    freeze_and_fit(plain), freeze_and_fit(cached)
    assert torch.allclose(losses(plain), losses(cached), rtol=1e-5, atol=1e-6) and len(cache.by_key) == 1


def test_hooks_on_the_part_that_trains_are_no_hindrance(make, reviews, monkeypatch):
    learn, calls = make(reviews, cache=Cache()), []
    learn.model.encoder.layers[1].register_forward_hook(lambda *args: calls.append(1))
    rows = counted(monkeypatch, learn, 0)
    learn.freeze_to(2)
    learn.fit(3, 1e-3)
    assert sum(rows) == len(reviews) and len(calls) == 3 * (len(learn.dls.train) + len(learn.dls.valid))


def test_a_hook_that_comes_within_an_epoch_is_run_from_then_on(make, reviews):
    calls = []

    class Late(Callback):
        def before_batch(self):
            if self.training and self.epoch == 1 and self.iter == 3:
                self.model.encoder.layers[0].register_forward_hook(lambda *args: calls.append(1))

    learn = make(reviews, cache=Cache())
    learn.freeze()
    learn.fit(2, 1e-3, cbs=Late())
    assert len(calls) == len(learn.dls.train) - 3 + len(learn.dls.valid)


def scale(parameter):
    parameter.data.mul_(-2)


def zero_row(parameter):
    parameter.data[-1] = 0


def zero_column(parameter):
    parameter.data[..., 3] = 0


@pytest.mark.parametrize("change", [scale, zero_row, zero_column])
@pytest.mark.parametrize("event", ["before_epoch", "before_validate"])
def test_weights_changed_through_data_within_a_fit(make, reviews, change, event):
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
    assert learn.cache.info()["rows"].tolist() == [len(reviews)] * 2  # those of both weights, for training too


def test_a_snapshot_of_a_large_model_tells_of_each_weight_that_changed_as_a_whole():
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
        snapshot = Snapshot("fp32", modules)  # of the rounded numbers
        parameter.data = parameter.data.clone()
        assert not snapshot.holds("fp32", modules)
        snapshot = Snapshot("fp32", modules)


def test_pooling_of_ones_own_is_not_taken_for_the_usual_one(make, reviews):
    cache = Cache()
    freeze_and_fit(make(reviews, cache=cache, dropout=0.0))

    def work(learn):
        learn.model.head.pool = lambda hidden, mask: hidden[:, 1]
        freeze_and_fit(learn)

    plain, cached = make(reviews, cache=False, dropout=0.0), make(reviews, cache=cache, dropout=0.0)
    work(plain), work(cached)
    assert torch.allclose(losses(plain), losses(cached), rtol=1e-5, atol=1e-6)
    assert set(cached.cache.info()["depth"]) == {"pooled", 2}
