"""transformers' documentation, "Pipelines": text classification by a saved folder."""

import pytest
from transformers import pipeline

TEXTS = ["a bright, warm film", "a real bore", "no 7"]


@pytest.fixture(scope="module")
def classify(folder):
    return pipeline("text-classification", str(folder))


def test_it_gives_our_labels_and_confidences(classify, trained):
    import pandas as pd

    expected = trained.predict_df(pd.DataFrame({"text": TEXTS}))
    assert [row["label"] for row in classify(TEXTS)] == expected["predicted_label"].tolist()
    assert [row["score"] for row in classify(TEXTS)] == pytest.approx(expected["confidence"].tolist(), abs=1e-5)


def test_it_gives_all_classes(classify, trained):
    scores = {row["label"]: row["score"] for row in classify(TEXTS[0], top_k=None)}
    assert scores == pytest.approx(
        dict(zip(["bad", "good"], trained.predict_proba(TEXTS[:1])[0], strict=True)), abs=1e-5
    )


def test_it_takes_batches(classify):
    assert [row["label"] for row in classify(TEXTS, batch_size=3)] == [row["label"] for row in classify(TEXTS)]


def test_long_texts_are_cut_as_requested(classify, trained):
    long = "great acting, great fun " * 40
    (row,) = classify(long, truncation=True)
    assert row["label"] == trained.predict(long)[0]


def test_the_task_is_detected(folder):
    assert pipeline(model=str(folder), task="sentiment-analysis")(TEXTS[0])[0]["label"] in ("bad", "good")


def test_a_head_that_theirs_cannot_express_is_no_pipeline_for_the_hub(learn, tmp_path):
    import kickbert

    learn.model.head = kickbert.models.Head(32, 2, "mean")
    saved = learn.save_artifact(tmp_path / "k")
    assert "pipeline_tag" not in (saved / "README.md").read_text(encoding="utf-8")
    classify = pipeline("text-classification", str(saved), pipeline_class=kickbert.models.ArtifactPipeline)
    assert [row["label"] for row in classify(TEXTS)] == kickbert.load(saved, backend="torch").predict(TEXTS)
