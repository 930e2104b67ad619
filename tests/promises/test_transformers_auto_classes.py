"""transformers' documentation, "Loading models": the auto classes on a saved folder."""

import warnings

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

TEXTS = ["a bright, warm film", "a real bore", "no 7"]


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def test_the_config_names_the_classes(folder):
    config = AutoConfig.from_pretrained(folder)
    assert config.id2label == {0: "bad", 1: "good"} and config.label2id == {"bad": 0, "good": 1}
    assert (config.num_labels, config.model_type) == (2, "roberta")
    assert config.problem_type == "single_label_classification"


def test_all_weights_are_there_and_none_is_made_up(folder):
    how = {"output_loading_info": True}
    _, info = AutoModelForSequenceClassification.from_pretrained(folder, **how)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]


def test_loading_warns_of_nothing(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AutoModelForSequenceClassification.from_pretrained(folder)


def test_the_tokenizer_makes_the_tokens_of_training(tokenizer, trained):
    ours = trained.dls.tokenizer.encode_batch(TEXTS)[0]
    assert tokenizer(TEXTS)["input_ids"] == [row.tolist() for row in ours]


def test_the_tokenizer_knows_its_limit_and_special_tokens(tokenizer, trained):
    assert tokenizer.model_max_length == 64 and tokenizer.is_fast
    assert (tokenizer.cls_token, tokenizer.pad_token_id) == ("<s>", 1)


def test_the_model_gives_the_learners_probabilities(model, tokenizer, trained):
    with torch.no_grad():
        logits = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    np.testing.assert_allclose(logits.softmax(-1), trained.predict_proba(TEXTS), atol=1e-5)


def test_padding_on_its_own_changes_nothing(model, tokenizer):
    with torch.no_grad():
        together = model(**tokenizer(TEXTS, padding="max_length", return_tensors="pt")).logits
        alone = model(**tokenizer(TEXTS[1], return_tensors="pt")).logits
    assert torch.allclose(together[1], alone[0], atol=1e-5)


def test_the_bare_encoder_gives_the_learners_states(folder, trained, tokenizer):
    body, batch = AutoModel.from_pretrained(folder).eval(), tokenizer(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        theirs = body(**batch).last_hidden_state
        ours = trained.model.eval().encoder(batch["input_ids"], batch["attention_mask"].bool())
    assert torch.allclose(theirs, ours, atol=1e-5)


def test_a_loss_comes_with_labels_and_has_gradients(model, tokenizer):
    loss = model(**tokenizer(TEXTS[0], return_tensors="pt"), labels=torch.tensor([1])).loss
    loss.backward()
    assert all(p.grad is not None for p in model.classifier.parameters())


def test_it_continues_as_a_transformers_model(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    batch = tokenizer(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)
