"""A learner and the predictor loaded from its artifact give the same results."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tiny_tokenizer
from helpers.artifacts import TASKS
from transformers import AutoModel, RobertaConfig

import kickbert


def test_added_special_tokens_stay_whole_in_learner_and_predictor(reviews, tmp_path):
    hf = tiny_tokenizer()
    hf.add_special_tokens({"additional_special_tokens": ["<user>"]})
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = RobertaConfig(vocab_size=len(hf), max_position_embeddings=66, pad_token_id=1, **size)
    AutoModel.from_config(config).save_pretrained(tmp_path / "m")
    hf.save_pretrained(tmp_path / "m")
    learn = kickbert.learner_from_df(reviews, model=tmp_path / "m", precision="fp32", path=tmp_path)
    predictor = kickbert.load(learn.save_artifact(tmp_path / "k"), backend="torch")
    text = "a <user> said </s> it was fun"
    for encoder in (learn.dls.tokenizer.token_encoder, predictor.token_encoder):
        ids = encoder.encode_batch([text])[0][0].tolist()
        assert ids.count(hf.convert_tokens_to_ids("<user>")) == 1 and ids.count(hf.eos_token_id) == 1
    assert learn.predict_proba([text]) == pytest.approx(predictor.predict_proba([text]), abs=1e-5)


@pytest.mark.parametrize("how", TASKS)
def test_a_predictor_gives_the_learners_predictions(trained_learners, rows, tmp_path, how):
    learn = trained_learners(how)
    model = kickbert.load(learn.save_artifact(tmp_path / "k"), backend="torch")
    rows = pd.concat([rows.sample(40, random_state=1), rows.head(1).assign(text=None, more=None)])
    with pytest.warns(UserWarning, match="text"):
        predicted, expected = model.predict_df(rows), learn.predict_df(rows)
    pd.testing.assert_frame_equal(predicted, expected, atol=1e-5, check_dtype=False)
    assert model.predict(rows.iloc[:-1]) == predicted["predicted_label"].iloc[:-1].tolist() and model.predict([]) == []


def test_training_continues_from_an_artifact(trained, rows, tmp_path):
    learn = trained("several")
    learn.loss_func.temperature = 1.5
    folder = learn.save_artifact(tmp_path / "k")
    rows = pd.concat([rows, rows.head(3).assign(tags=[["new"]] * 3)], ignore_index=True)
    with pytest.warns(UserWarning, match="never saw|not in the training"):
        again = kickbert.learner_from_artifact(folder, rows, precision="fp32", path=tmp_path, bs=16)
    assert again.loss_func.temperature == 1.5 and again.dls.target == learn.dls.target
    np.testing.assert_allclose(again.loss_func.thresh, learn.loss_func.thresh)
    for (name, one), two in zip(learn.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    again.fit_one_cycle(1, 1e-3)
    assert kickbert.load(again.save_artifact(tmp_path / "k")).artifact.version == "v2"


def test_rows_of_unknown_classes_are_skipped_when_training_continues(trained, rows, tmp_path):
    folder = trained().save_artifact(tmp_path / "k")
    with pytest.warns(UserWarning, match="3 rows"):
        again = kickbert.learner_from_artifact(
            folder, pd.concat([rows, rows.head(3).assign(label="new")]), path=tmp_path
        )
    assert len(again.dls.train_ds) + len(again.dls.valid_ds) == len(rows)


def test_classes_that_json_cannot_hold_are_refused(make, reviews):
    dates = {"good": pd.Timestamp("2020-01-01"), "bad": pd.Timestamp("2021-01-01")}
    with pytest.raises(ValueError, match=r"holds labels of type Timestamp, .* which a saved model cannot hold"):
        make(reviews.assign(label=reviews["label"].map(dates).astype(object)))
