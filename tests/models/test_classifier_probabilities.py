import pytest
import torch
from helpers.encoders import random_encoder

from kickbert.models.classifier import ProbabilityModel, TextClassifier, example_input
from kickbert.models.head import Head
from kickbert.targets.kinds import MULTI, REGRESSION, SINGLE


@pytest.fixture
def classifier() -> TextClassifier:
    return TextClassifier(random_encoder("bert"), Head(32, 3, "mean", dropout=0.0)).eval()


@pytest.mark.parametrize("task", [SINGLE, MULTI, REGRESSION])
@torch.no_grad()
def test_logits_become_what_the_task_predicts(classifier, task):
    ids, mask = example_input(windows=False)
    logits = classifier(ids.masked_fill(mask == 0, -1))
    outputs = ProbabilityModel(classifier, task, temperature=2.0)(ids, mask)
    expected = {SINGLE: (logits / 2).softmax(-1), MULTI: (logits / 2).sigmoid(), REGRESSION: logits}[task]
    assert outputs.dtype == torch.float32 and torch.allclose(outputs, expected, atol=1e-6)


@torch.no_grad()
def test_a_documents_windows_are_averaged_as_in_training(classifier):
    ids, mask, document_weights = example_input(windows=True)
    tokens = ids.masked_fill(mask == 0, -1)
    documents = torch.full((2, 2, 8), -1)
    documents[0], documents[1, 0] = tokens[:2], tokens[2]
    outputs = ProbabilityModel(classifier, SINGLE)(ids, mask, document_weights)
    assert torch.allclose(outputs, classifier(documents).softmax(-1), atol=1e-6)


def test_a_high_temperature_evens_out_and_changes_no_order(classifier):
    ids, mask = example_input(windows=False)
    with torch.no_grad():
        sharp, even = (ProbabilityModel(classifier, SINGLE, t)(ids, mask) for t in (0.1, 10.0))
    assert torch.equal(sharp.argsort(), even.argsort()) and (sharp.amax(1) > even.amax(1)).all()
