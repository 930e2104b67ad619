"""Stores are built once, from shallower ones, for every architecture at every depth."""

import time

import numpy as np
import pytest
import torch
from helpers.cached import counted, losses
from helpers.encoders import random_encoder

from kickbert import Cache, Phase, gradual_unfreezing
from kickbert.cache.building import TOKENS, build
from kickbert.cache.keys import prefix_keys
from kickbert.data.batching import length_batches
from kickbert.data.packed import Packed
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import LAYERS
from kickbert.models.head import Head
from kickbert.text.tokenization import PAD

PHASES = [Phase("head", 3, 2, 1e-2), Phase("last layer", 2, 2, 3e-3, 0.9)]  # both take steps


@pytest.fixture
def stores():
    return Cache()


@pytest.fixture
def eight_rows(monkeypatch):
    monkeypatch.setitem(TOKENS, "cpu", 8 * 12)


@pytest.mark.parametrize("kind", LAYERS)
def test_losses_of_every_architecture_are_bitwise_equal(kind, stores, eight_rows):
    """Take a step per batch at every depth, in fp32, with batches of the store's shape."""
    rng = np.random.default_rng(0)
    rows = Packed.of([rng.integers(5, 100, n).astype(np.int32) for n in rng.integers(4, 13, 24)])
    y = torch.from_numpy(rng.integers(0, 3, 24))
    batches = list(length_batches(rows.lengths, tokens=TOKENS["cpu"]))  # as the store's
    for depth in range(1, random_encoder(kind).n_layers + 1):
        values = []
        for cached in (False, True):
            torch.manual_seed(1)
            model = TextClassifier(random_encoder(kind), Head(32, 3, "attention", dropout=0.0))
            for group in list(model.groups().values())[: depth + 1]:
                for parameter in group:
                    parameter.requires_grad_(False)
            model.train()
            if cached:
                keys = prefix_keys(model, depth)
                build(model, [rows], depth, keys, stores)
                view = stores.by_key[keys[depth]].view(rows.keys)
            opt = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
            for chosen in batches:
                states = (view.gather(chosen), depth) if cached else ()
                logits = model(rows.gather(chosen, fill=PAD).long(), *states)
                loss = torch.nn.functional.cross_entropy(logits, y[chosen])
                opt.zero_grad()
                loss.backward()
                opt.step()
                values.append(loss.item())
        assert values[:3] == values[3:], f"depth {depth}"


@pytest.mark.parametrize("kind", LAYERS)
def test_every_architecture_at_every_depth(kind, stores):
    torch.manual_seed(0)
    model = TextClassifier(random_encoder(kind), Head(32, 3, "mean", dropout=0.0)).eval()
    rng = np.random.default_rng(0)
    rows = Packed.of([rng.integers(5, 100, n).astype(np.int32) for n in rng.integers(1, 12, 20)])
    n = model.encoder.n_layers
    x = rows.gather(range(20), fill=-1).long()
    with torch.no_grad():
        full = model(x)
        for depth in range(1, n + 1):
            keys = prefix_keys(model, depth)
            build(model, [rows], depth, keys, stores)
            pooled = depth == n
            store = stores.by_key[keys[depth] + ("-mean" if pooled else "")]
            states = store.view(rows.keys).gather(range(20))
            assert torch.allclose(model(x, states[:, 0] if pooled else states, depth), full, atol=1e-5)


def test_deeper_stores_are_built_from_shallower_ones(make, reviews, stores, monkeypatch):
    learn = make(reviews, cache=stores)
    first, second = counted(monkeypatch, learn, 0), counted(monkeypatch, learn, 1)
    learn.fit_gradual(gradual_unfreezing(4, layers=(0, 1), epochs=(1, 1), lr=1e-3))
    assert sum(first) == 120  # one pass for depth 1 and for the pooled states of depth 2
    steps = len(learn.dls.train_ds) + 2 * len(learn.dls.valid_ds)  # validation, then calibration
    assert sum(second) == 120 + steps  # building the pooled states, then training the layer


def test_only_missing_rows_are_computed(make, reviews, stores, monkeypatch):
    make(reviews.iloc[:80], cache=stores).fit_gradual(PHASES)
    learn = make(reviews, cache=stores)
    rows = counted(monkeypatch, learn, 0)
    learn.fit_gradual(PHASES)
    assert sum(rows) == 40
    info = learn.cache.info()
    assert info["rows"].tolist() == [120, 120] and set(info["where"]) == {"memory"}
    plain = make(reviews, cache=False)
    plain.fit_gradual(PHASES)
    assert torch.allclose(losses(plain), losses(learn), atol=1e-5)  # two segments are read as one


def test_equal_rows_are_computed_once_and_only_what_is_missing(stores, monkeypatch):
    model = TextClassifier(random_encoder("bert"), Head(32, 3, "attention")).eval()
    rows = Packed.of([np.array(ids, dtype=np.int32) for ids in ([5, 6, 7], [8, 9], [5, 6, 7])])
    more = Packed.of([np.array(ids, dtype=np.int32) for ids in ([8, 9], [10] * 4)])
    keys = prefix_keys(model, 2)
    start = time.perf_counter()
    build(model, [rows], 2, keys, stores)
    build(model, [rows, more], 2, keys, stores)
    store = stores.by_key[keys[2]]
    assert 0 < store.seconds < time.perf_counter() - start
    assert [len(segment) for segment in store.segments] == [5, 4] and len(store.positions) == 3
    build(model, [rows, more], 2, keys, stores)
    assert len(store.segments) == 2


def test_states_over_the_budget_are_not_kept():
    model, cache = TextClassifier(random_encoder("bert"), Head(32, 3)).eval(), Cache(memory=0, disk=0)
    rows = Packed.of([np.array([5, 6, 7], dtype=np.int32)])
    reason = build(model, [rows], 1, prefix_keys(model, 1), cache)
    assert reason == "0.0 MB exceed the memory and disk budgets"
    assert cache.used("memory") == 0 and not any(store.segments for store in cache.by_key.values())
