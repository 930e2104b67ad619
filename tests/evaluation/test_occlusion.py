"""Occlusion scores words by their effect on a prediction; a learner and its artifact give the same scores."""

import numpy as np
import pandas as pd
import pytest
import torch

import kickbert
from kickbert.evaluation.occlusion import occlusion
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels
from kickbert.text.tokenization import SEP, TokenEncoder

TEXT = "a bright, warm film, and no great fun"


@pytest.fixture
def token_encoder(tiny_tok) -> TokenEncoder:
    from kickbert.data.transforms import TextTokenizer

    return TextTokenizer(tiny_tok, 20).token_encoder


def counting(rows: list[np.ndarray]) -> np.ndarray:
    """A model with a lower probability of class 1 for more masked tokens (token 4)."""
    share = np.array([0.8 * 0.5 ** (row == 4).sum() for row in rows])
    return np.stack([1 - share, share], 1)


def test_a_score_is_the_loss_of_log_probability(token_encoder, tiny_tok):
    model = {"target": Labels(("bad", "good")), "token_encoder": token_encoder, "mask_id": tiny_tok.mask_token_id}
    assert tiny_tok.mask_token_id == 4
    explanation = occlusion("a film", "good", counting, **model)
    tokens = [len(tiny_tok(w, add_special_tokens=False)["input_ids"]) for w in ("a", " film")]
    assert explanation.words == ["a", "film"] and explanation.value == pytest.approx(0.8)
    assert explanation.scores == pytest.approx(np.log(2) * np.array(tokens))
    likeliest = occlusion("a film", None, counting, **model)
    assert likeliest.label == "good" and (likeliest.scores == explanation.scores).all()
    with pytest.raises(ValueError, match="has no words to explain"):
        occlusion(" ", None, counting, **model)
    with pytest.raises(ValueError, match="label='ugly' is not a class"):
        occlusion("a film", "ugly", counting, **model)


def test_a_score_of_a_number_is_its_decrease(token_encoder, tiny_tok):
    model = {
        "target": Continuous("price", 10.0, 2.0),
        "token_encoder": token_encoder,
        "mask_id": tiny_tok.mask_token_id,
    }
    explanation = occlusion("a film", None, lambda rows: counting(rows)[:, 1:], **model)
    assert explanation.label == "price" and explanation.value == pytest.approx(10 + 2 * 0.8)
    assert explanation.scores[0] == pytest.approx(0.8 - 0.4)  # "a" is one token


def test_words_past_the_models_limit_have_no_score(token_encoder, tiny_tok):
    model = {"target": Labels(("bad", "good")), "token_encoder": token_encoder, "mask_id": tiny_tok.mask_token_id}
    explanation = occlusion("a " * 60 + SEP + "film " * 60, "good", counting, **model)
    assert 0 < (explanation.scores > 0).sum() < len(explanation.words)


TASKS = {
    "one label": {},
    "several labels": {"label_col": "tags"},
    "ordered bins": {"label_col": "amount", "bins": 3},
    "a number": {"label_col": "amount", "task": "regression"},
}


@pytest.mark.parametrize("task", TASKS)
def test_a_learner_and_its_artifact_give_the_same_scores(make, reviews, tmp_path, task):
    tags = [["x", label] if i % 3 else [label] for i, label in enumerate(reviews["label"])]
    amount = np.random.default_rng(0).lognormal(3, 1, len(reviews))
    learn = make(reviews.assign(tags=tags, amount=amount), pooling="mean", **TASKS[task])
    with torch.no_grad():  # with an untrained head, words have no effect to compare
        learn.model.head.classifier.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    predictor = kickbert.load(learn.save_artifact(tmp_path / "saved"), backend="torch")
    largest = 0.0
    for label in (None, *learn.target.names):
        ours, theirs = (model.explain(TEXT, label, method="occlusion") for model in (learn, predictor))
        pd.testing.assert_frame_equal(ours.to_frame(), theirs.to_frame(), rtol=0, atol=1e-4)
        assert (ours.label, ours.words) == (theirs.label, TEXT.split())
        assert ours.value == pytest.approx(theirs.value, rel=1e-4)
        largest = max(largest, np.abs(ours.scores).max())
    assert largest > 0.01  # otherwise the comparison would be trivial
