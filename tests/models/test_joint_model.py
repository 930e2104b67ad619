"""The joint model computes what each model computes, in one pass of the encoder."""

import pytest
import torch

from kickbert.models.classifier import ProbabilityModel, TextClassifier, example_input
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head
from kickbert.models.joint_model import JointModel
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels

HEADS = {
    "first token": ({}, Labels, 2),
    "side": ({"pooling": "mean", "side": {"taps": [0]}}, Labels, 3),
    "other taps": ({"side": {"taps": [0, 1]}}, MultiLabels, 2),
    "attention": ({"pooling": "attention", "layers": 2}, Continuous, 1),
}


@pytest.fixture
def models(tiny):
    torch.manual_seed(0)
    encoder = load_encoder(tiny)
    made = {}
    for temperature, (name, (options, target, classes)) in enumerate(HEADS.items(), 1):
        head = Head(encoder.width, classes, **options)
        if head.side is not None:
            torch.nn.init.normal_(head.side.classifier.weight)
        made[name] = ProbabilityModel(TextClassifier(encoder, head), target, temperature).eval()
    return made


@pytest.mark.parametrize("names", [list(HEADS), ["first token", "first token"], ["first token", "attention"], ["side"]])
@pytest.mark.parametrize("windows", [False, True])
def test_it_equals_each_model(models, names, windows):
    chosen, inputs = [models[name] for name in names], example_input(windows)
    with torch.no_grad():
        joint = JointModel(chosen).eval()(*inputs)
        alone = torch.cat([model(*inputs) for model in chosen], 1)
    torch.testing.assert_close(joint, alone, atol=1e-6, rtol=0)


def test_the_encoder_runs_once(models):
    calls, layer = [], models["side"].encoder.layers[0]
    layer.register_forward_hook(lambda *_: calls.append(1))
    JointModel(list(models.values()))(*example_input(windows=False))
    assert len(calls) == 1
