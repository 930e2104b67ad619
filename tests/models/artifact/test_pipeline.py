"""Artifacts in transformers pipelines: any with kickbert's class, portable ones without it."""

import pandas as pd
import pytest
from transformers import pipeline

import kickbert
from kickbert.models.artifact.pipeline import ArtifactPipeline
from kickbert.models.artifact.reading import read_artifact


@pytest.mark.parametrize(
    "how",
    [
        {"pooling": "mean", "cleaning": ["convert_to_lowercase"]},
        {"pooling": "mean", "long": "windows", "max_length": 16, "stride": 4},
        {"text_col": ["text", "more"], "head_layers": 2},
        {"label_col": "amount", "bins": 3},
        {"label_delim": "|", "pooling": "max"},
    ],
)
def test_the_pipeline_class_predicts_as_the_artifact(make, pairs, tmp_path, how):
    learn = make(pairs.assign(amount=range(len(pairs))), **how)
    learn.fit_one_cycle(1, 4e-3)
    folder = learn.save_artifact(tmp_path / "k")
    classify = pipeline("text-classification", str(folder), pipeline_class=ArtifactPipeline)
    rows = pairs.sample(6, random_state=0)[learn.text_col]
    inputs = rows.to_dict("records") if len(learn.text_col) > 1 else rows["text"].tolist()
    probs, names = kickbert.load(folder, backend="torch").predict_proba(rows), learn.target.names
    for scores, row in zip(classify(inputs, top_k=None), probs, strict=True):
        assert {score["label"]: score["score"] for score in scores} == pytest.approx(
            dict(zip(names, row, strict=True)), abs=1e-5
        )
    assert [best["label"] for best in classify(inputs)] == [names[i] for i in probs.argmax(1)]


@pytest.mark.system
def test_a_portable_model_loads_in_a_plain_pipeline(reviews, minilm, tmp_path):
    texts = reviews["text"].iloc[:4].tolist()
    cards = []
    for portable in (False, True):
        learn = kickbert.learner_from_df(reviews, model=minilm, path=tmp_path, precision="fp32", portable=portable)
        assert learn.model.head.pooling == ("cls" if portable else "mean")
        folder = learn.save_artifact(tmp_path / "k")
        cards.append("pipeline_tag" in read_artifact(folder).card.split("---")[1])
    assert cards == [False, True]
    results = pipeline("text-classification", str(folder))(texts)
    expected = learn.predict_df(pd.DataFrame({"text": texts}))
    assert [row["label"] for row in results] == expected["predicted_label"].tolist()
    assert [row["score"] for row in results] == pytest.approx(expected["confidence"].tolist(), abs=1e-4)
