"""Predictions of a learner have the order of the rows and equal those of a predictor."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.predictions import Predictions
from kickbert.models.protocol import is_model


def test_predict_df_is_indexed_like_df(make, reviews):
    learn = make(reviews)
    learn.fit_gradual()
    shuffled = reviews.sample(frac=1, random_state=0)
    out = learn.predict_df(shuffled)
    assert out.index.equals(shuffled.index) and out.columns.tolist() == [
        "predicted_label",
        "confidence",
        "prob_bad",
        "prob_good",
    ]
    assert np.allclose(out[["prob_bad", "prob_good"]].sum(axis=1), 1, atol=1e-5)
    assert (out["confidence"] == out[["prob_bad", "prob_good"]].max(axis=1)).all()
    one_by_one = [learn.predict(text) for text in shuffled["text"][:20]]
    assert [p[0] for p in one_by_one] == out["predicted_label"][:20].tolist()
    assert np.allclose([p[2].tolist() for p in one_by_one], out.iloc[:20, 2:].to_numpy(float), atol=1e-5)


def test_predict_df_keeps_every_row(make, reviews):
    learn = make(reviews)
    df = pd.DataFrame({"text": ["fun", None, "bore", 7]}, index=[5, 5, 6, 7], dtype=object)
    with pytest.warns(UserWarning) as caught:
        out = learn.predict_df(df)
    messages = [str(w.message) for w in caught]
    assert "1 row without text, without a prediction: [5]" in messages
    assert out.index.tolist() == [5, 5, 6, 7] and out["predicted_label"].isna().tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="text_col='text' is not a column of df; columns are"):
        learn.predict_df(pd.DataFrame({"txt": ["a"]}))


def test_its_repr_shows_facts_and_the_next_step(make, reviews):
    learn = make(reviews)
    fresh = repr(learn)
    assert fresh.startswith("GradualLearner\n") and "single label: 2 classes (bad, good)" in fresh
    assert "text → label" in fresh and "102 training, 18 validation" in fresh and "roberta, 2 layers of 32" in fresh
    assert "not trained yet" in fresh and fresh.endswith("fit_gradual()") and "embeddings to head" in fresh
    learn.fit_gradual()
    trained = repr(learn)
    accuracy = learn.ladder[-1]["accuracy"]
    assert f"accuracy {accuracy:.4f}" in trained and trained.endswith("save_artifact(folder)")
    assert "layer 1 to head" in trained or "embeddings to head" in trained
    assert "trained by  fit_gradual: head, then " in trained
    assert learn._repr_html_().count("<tr>") == 8 and "<td>text → label</td>" in learn._repr_html_()
    batches = repr(learn.dls)
    assert batches.startswith("TextDataLoaders\n") and "16 rows in training, 32 in validation" in batches


def test_a_learner_of_few_labels_has_its_scores_too(make, reviews):
    learn = make(reviews.head(40))
    learn.fit_gradual()
    assert "accuracy 0." in repr(learn) or "accuracy 1." in repr(learn)


def test_the_median_is_named_where_another_class_is_likelier(make, reviews):
    learn = make(reviews.assign(pledged=np.arange(120) * 100.0), label_col="pledged", bins=4)
    probs = np.array([[0.4, 0.2, 0.0, 0.4], [0.7, 0.1, 0.1, 0.1]], dtype=np.float32)
    learn.predict_proba = lambda df: probs
    notes = Predictions.from_model(learn, reviews.head(2)).notes
    assert notes == ("the label is the median of the ordered classes: in 1 of 2 rows another class is likelier",)
    assert "the label is their median" in repr(learn)


def test_labels_keep_their_type(make, reviews):
    learn = make(reviews.assign(label=(reviews["label"] == "good").astype(int)))
    assert set(learn.predict_df(reviews)["predicted_label"]) <= {0, 1}


def test_bins_have_ranges_and_kappa(make, reviews):
    df = reviews.assign(pledged=np.arange(120) * 100.0)
    learn = make(df, label_col="pledged", bins=4, bin_format="$")
    ladder = learn.fit_gradual()
    assert "quadratic kappa" in ladder.columns
    assert learn.predict_df(df)["predicted_label"].str.startswith(("$", "under $")).all()


def test_a_learner_is_a_model_as_a_predictor_is(make, reviews):
    learn = make(reviews, text_col=["text"], cleaning=["convert_to_lowercase"])
    assert is_model(learn)
    assert (learn.target, learn.text_col, learn.label_col) == (learn.dls.target, ["text"], "label")
    assert learn.metadata["task"] == "single label" and learn.metadata["text_col"] == ["text"]
    texts, empty = learn.read(["A Film", {"text": "Fun"}, None])
    assert texts == ["a film", "fun", ""] and empty.tolist() == [False, False, True]


def test_probabilities_and_decisions_are_those_of_predict_df(make, reviews):
    learn = make(reviews)
    probs, frame = learn.predict_proba(reviews), learn.predict_df(reviews)
    assert probs.dtype == np.float32 and probs.shape == (len(reviews), 2)
    assert np.allclose(probs, frame[["prob_bad", "prob_good"]])
    assert learn.target.decode(learn.decide(probs)) == frame["predicted_label"].tolist()
    assert np.allclose(learn.predict_proba(reviews["text"].tolist()), probs)


def test_labeled_rows_are_those_of_training_and_validation(make, reviews):
    learn = make(reviews, valid=0.25)
    (train, train_codes), (valid, valid_codes) = learn.labeled_rows("train"), learn.labeled_rows("valid")
    assert sorted(train + valid) == sorted(reviews["text"]) and len(valid) == 30
    labels = dict(zip(reviews["text"], reviews["label"], strict=True))
    assert learn.target.decode(train_codes) == [labels[text] for text in train]
    assert learn.target.decode(valid_codes) == [labels[text] for text in valid]
    learn.dls = learn.dls.new_empty()
    assert learn.labeled_rows("train") is None


def test_training_rows_are_predicted_once_each_however_they_are_drawn(make, reviews):
    learn = make(reviews[:80], sampling="balanced")
    _, codes = learn.get_preds(ds_idx=0)
    assert learn.target.decode(codes.numpy()) == [row.target for row in learn.dls.train_ds.items]


def test_an_uncertain_row_gets_no_label(make, reviews):
    frame = make(reviews).predict_df(reviews, min_confidence=0.999)
    assert frame["predicted_label"].isna().all() and frame["confidence"].notna().all()


def test_an_explanation_is_of_the_words(make, reviews):
    explanation = make(reviews).explain("a bright, warm film", method="occlusion")
    assert [word for word in ("bright", "film") if word in explanation.to_html()] == ["bright", "film"]


@pytest.mark.parametrize(
    ("how", "columns"),
    [
        ({}, ["predicted_label", "confidence", "prob_bad", "prob_good"]),
        ({"label_delim": " "}, ["predicted_label", "prob_bad", "prob_good"]),
        ({"long": "windows"}, ["predicted_label", "confidence", "prob_bad", "prob_good"]),
        ({"label_col": "amount", "task": "regression"}, ["predicted_label"]),
    ],
)
def test_no_rows_have_no_predictions(make, reviews, how, columns):
    learn = make(reviews.assign(amount=np.arange(120.0)), valid=None, **how)
    frame = learn.predict_df(reviews[:0])
    assert frame.columns.tolist() == columns and len(frame) == 0
    for dl in (learn.dls.test_dl([]), learn.dls.valid):
        inputs, probs, _, decoded, losses = learn.get_preds(dl=dl, with_input=True, with_decoded=True, with_loss=True)
        assert probs.shape == (0, len(learn.target.names)) and len(decoded) == len(losses) == len(inputs) == 0


def test_a_run_that_another_process_finished_has_the_scores_of_its_last_kept_phase(make, reviews):
    learn = make(reviews)
    learn.ladder = [
        {"phase": "head", "rows": 102, "valid_loss": 0.51, "accuracy": 0.8, "gain": 0.0, "kept": True},
        {"phase": "last 2 layers", "rows": 102, "valid_loss": 0.72, "accuracy": 0.6, "gain": -20.0, "kept": False},
    ]
    assert learn.facts()["validation"] == "valid_loss 0.5100  accuracy 0.8000"
