"""Everything that changes the states of the frozen part is in their key or turns the cache off."""

import shutil
import threading

import pytest
import torch
from fastai.callback.core import Callback
from helpers.cached import both, counted, losses
from helpers.encoders import padded_batch
from helpers.settings import SETTINGS, classifier
from torch import nn
from transformers import AutoConfig, AutoModel

from kickbert import Cache
from kickbert.cache.keys import prefix_keys, prefix_modules, why_not_cacheable
from kickbert.cache.snapshot import Snapshot
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import LAYERS, Encoder, load_encoder
from kickbert.models.head import Head
from kickbert.utils.hashing import Unidentifiable


def test_prefix_keys_depend_only_on_lower_layers():
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


def test_each_setting_changes_the_key():
    keys = [prefix_keys(classifier(), 1)[1]]
    for name, change in SETTINGS.items():
        model = classifier()
        change(model)
        if "custom" in name or "function" in name:  # your own code has no key, so its states are never shared
            with pytest.raises(Unidentifiable, match="is not from an installed library"):
                prefix_keys(model, 1)
        else:
            keys.append(prefix_keys(model, 1)[1])
    assert len(set(keys)) == len(keys) == 9


@pytest.mark.parametrize("name", ["activation", "buffer"])
def test_states_are_not_shared_between_settings(make, reviews, name):
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
    assert len(cache.by_key) == 2  # the third fit reads the first model's states


def noise(module, args, output):
    """Add noise, drawn in each forward (NEFTune, Jain et al. 2023)."""
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
    """Put the frozen part in training mode, where it drops units."""

    def before_train(self):
        self.model.encoder.train()


NOT_CACHEABLE = {
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


@pytest.mark.parametrize("name", NOT_CACHEABLE)
def test_states_that_may_differ_between_steps_are_not_cached(make, reviews, name, capsys):
    plain, cached, learn = both(make, reviews, NOT_CACHEABLE[name], encoder_dropout=0.1)
    assert torch.equal(plain, cached)
    assert learn.cache.info().empty
    assert capsys.readouterr().out.count("the frozen part is computed in each epoch: its") == 1


def test_a_setting_that_cannot_be_compared_turns_the_cache_off(make, reviews, capsys):
    learn = make(reviews, cache=Cache())
    learn.model.encoder.layers[0].lock = threading.Lock()
    learn.freeze()
    learn.fit(2, 1e-3)
    line = "the frozen part is computed in each epoch: a value cannot be compared with that of another process"
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


def test_a_hook_of_one_learner_does_not_affect_another(make, reviews):
    cache = Cache()
    NOT_CACHEABLE["noise on embeddings"](make(reviews, cache=cache, dropout=0.0))
    plain, cached = make(reviews, cache=False, dropout=0.0), make(reviews, cache=cache, dropout=0.0)
    freeze_and_fit(plain), freeze_and_fit(cached)
    assert torch.allclose(losses(plain), losses(cached), rtol=1e-5, atol=1e-6) and len(cache.by_key) == 1


def test_hooks_on_the_trained_part_do_not_matter(make, reviews, monkeypatch):
    learn, calls = make(reviews, cache=Cache()), []
    learn.model.encoder.layers[1].register_forward_hook(lambda *args: calls.append(1))
    rows = counted(monkeypatch, learn, 0)
    learn.freeze_to(2)
    learn.fit(3, 1e-3)
    assert sum(rows) == len(reviews) and len(calls) == 3 * (len(learn.dls.train) + len(learn.dls.valid))


def test_a_hook_added_during_an_epoch_runs_from_then_on(make, reviews):
    calls = []

    class Late(Callback):
        def before_batch(self):
            if self.training and self.epoch == 1 and self.iter == 3:
                self.model.encoder.layers[0].register_forward_hook(lambda *args: calls.append(1))

    learn = make(reviews, cache=Cache())
    learn.freeze()
    learn.fit(2, 1e-3, cbs=Late())
    assert len(calls) == len(learn.dls.train) - 3 + len(learn.dls.valid)


def test_a_custom_pooling_does_not_read_built_in_pooled_states(make, reviews):
    cache = Cache()
    freeze_and_fit(make(reviews, cache=cache, dropout=0.0))

    def work(learn):
        learn.model.head.pool = lambda hidden, mask: hidden[:, 1]
        freeze_and_fit(learn)

    plain, cached = make(reviews, cache=False, dropout=0.0), make(reviews, cache=cache, dropout=0.0)
    work(plain), work(cached)
    assert torch.allclose(losses(plain), losses(cached), rtol=1e-5, atol=1e-6)
    assert set(cached.cache.info()["depth"]) == {"pooled", 2}
