"""A classifier with a frozen prefix, and the probabilities that are exported."""

import pytest
import torch
from helpers.encoders import random_encoder

from kickbert.models.classifier import ProbabilityModel, TextClassifier, example_input
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.text.tokenization import PAD


@pytest.fixture
def model(tiny):
    torch.manual_seed(0)
    return TextClassifier(load_encoder(tiny), Head(32, 3))


def tokens() -> torch.Tensor:
    x = torch.randint(5, 90, (3, 9), generator=torch.Generator().manual_seed(0))
    x[1, 5:], x[2, 2:] = PAD, PAD
    return x


def freeze_to(model, number):
    for i, group in enumerate(model.groups().values()):
        for parameter in group:
            parameter.requires_grad_(i >= number)
    model.train()


@pytest.mark.parametrize(("number", "depth"), [(0, None), (1, 0), (2, 1), (3, 2)])
def test_frozen_means_frozen(model, number, depth):
    freeze_to(model, number)
    assert model.frozen_depth == depth
    model(tokens()).sum().backward()
    for i, (name, group) in enumerate(model.groups().items()):
        assert all((p.grad is not None) == (i >= number) for p in group if p.requires_grad or i < number), name
    training = [layer.training for layer in model.encoder.layers]
    assert training == [depth is None or i >= depth for i in range(2)]
    assert model.encoder.body.embeddings.training == (depth is None) and model.head.training


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_freezing_changes_no_number(model, number):
    model.eval()
    with torch.no_grad():
        full = model(tokens())
        freeze_to(model, number)
        assert torch.allclose(model.eval()(tokens()), full, rtol=0, atol=1e-6)  # products may sum in another order


def test_the_kernel_for_training_gives_the_same_numbers(model):
    model.train()
    model.head.dropout.p = 0.0
    training = model(tokens())
    with torch.no_grad():
        assert torch.allclose(model.eval()(tokens()), training, atol=1e-5)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_cached_states_give_the_same_logits(model, depth):
    model.eval()
    x = tokens()
    with torch.no_grad():
        hidden = model.encoder.prefix(x, x != PAD, depth, model.head.reads_first)
        assert torch.equal(model(x, hidden, depth), model(x))
        hidden = model.encoder.prefix(x, x != PAD, depth)
        assert torch.equal(model.states(x, 2, hidden, depth), model.states(x, 2))
        assert model.states(x, 2).shape == (*x.shape, 32)  # whatever the head reads


def test_bf16_computes_in_bf16_and_returns_fp32(model):
    model.eval()
    full = model(tokens())
    model.precision = "bf16"
    half = model(tokens())
    assert half.dtype == torch.float32 and not torch.equal(half, full)
    assert torch.allclose(half, full, atol=0.05)


def test_groups_have_names(model):
    assert list(model.groups()) == ["embeddings", "layer 1", "layer 2", "head"]
    ids = [id(p) for group in model.groups().values() for p in group]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())


@pytest.fixture
def classifier() -> TextClassifier:
    return TextClassifier(random_encoder("bert"), Head(32, 3, "mean", dropout=0.0)).eval()


@pytest.mark.parametrize("kind", [Labels, MultiLabels, Continuous])
@torch.no_grad()
def test_logits_become_the_tasks_probabilities(classifier, kind):
    ids, mask = example_input(windows=False)
    logits = classifier(ids.masked_fill(mask == 0, -1))
    outputs = ProbabilityModel(classifier, kind, temperature=2.0)(ids, mask)
    expected = {Labels: (logits / 2).softmax(-1), MultiLabels: (logits / 2).sigmoid(), Continuous: logits}[kind]
    assert outputs.dtype == torch.float32 and torch.allclose(outputs, expected, atol=1e-6)


@torch.no_grad()
def test_a_documents_windows_are_averaged_as_in_training(classifier):
    ids, mask, document_weights = example_input(windows=True)
    tokens = ids.masked_fill(mask == 0, -1)
    documents = torch.full((2, 2, 8), -1)
    documents[0], documents[1, 0] = tokens[:2], tokens[2]
    outputs = ProbabilityModel(classifier, Labels)(ids, mask, document_weights)
    assert torch.allclose(outputs, classifier(documents).softmax(-1), atol=1e-6)


def test_a_high_temperature_flattens_and_keeps_the_order(classifier):
    ids, mask = example_input(windows=False)
    with torch.no_grad():
        sharp, even = (ProbabilityModel(classifier, Labels, t)(ids, mask) for t in (0.1, 10.0))
    assert torch.equal(sharp.argsort(), even.argsort()) and (sharp.amax(1) > even.amax(1)).all()
