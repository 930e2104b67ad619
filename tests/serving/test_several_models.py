"""Several models behind one service: each answers every text, and other requests name one model."""

import csv
import io

import pandas as pd
import pytest
from conftest import BAD, GOOD
from fastapi.testclient import TestClient
from helpers.serving import CSV

import kickbert
from kickbert.serving import Settings, create_app
from kickbert.serving.schemas import ManyPredictionsResponse

TEXTS = ["a bright, warm film", "a dull, cold film and so on", " "]
DF = pd.DataFrame({"text": 4 * (GOOD + BAD), "mood": 4 * (5 * ["good"] + 5 * ["bad"])})


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tiny):
    """Folders of a classifier and a regression model."""
    home, df = tmp_path_factory.mktemp("several"), DF.assign(length=DF["text"].str.len())
    for name, task in {"mood": None, "length": "regression"}.items():
        learn = kickbert.learner_from_df(df, label_col=name, task=task, model=tiny, precision="fp32", path=home)
        learn.fit_one_cycle(1, 4e-3)
        learn.save_artifact(home / name)
    return [home / "mood", home / "length"]


@pytest.fixture(scope="module")
def client(saved):
    with TestClient(create_app(Settings(saved, backend="torch"))) as client:
        yield client


def test_each_model_predicts_as_it_does_alone(client, saved):
    response = client.post("/predict", json={"texts": TEXTS})
    models = ManyPredictionsResponse.model_validate(response.json(), strict=True).models
    mood, length = [kickbert.load(folder, backend="torch") for folder in saved]
    assert list(models) == ["mood", "length"] and models["mood"].version == models["length"].version == "v1"
    assert [p.label for p in models["mood"].predictions] == [*mood.predict(TEXTS[:2]), None]
    probs = list(models["mood"].predictions[0].probabilities.values())
    assert probs == pytest.approx(mood.predict_proba(TEXTS)[0].tolist(), abs=1e-5)
    values = [p.value for p in models["length"].predictions]
    assert values[:2] == pytest.approx(length.predict(TEXTS)[:2], rel=1e-5) and values[2] is None
    # A minimum confidence does not apply to a number.
    assert client.post("/predict", json={"texts": TEXTS, "min_confidence": 0.5}).status_code == 422


def test_other_requests_name_a_model(client):
    described = client.get("/model?model=length").json()
    assert described["name"] == "length" and described["models"] == ["mood", "length"]
    assert client.get("/model").json()["name"] == "mood"
    answer = client.post("/explain?model=mood", json={"text": TEXTS[0], "label": "bad"}).json()
    assert answer["label"] == "bad" and [word["word"] for word in answer["words"]]
    content = "text\n" + "\n".join(f'"{text}"' for text in TEXTS[:2])
    for name, column in {"mood": "prob_good", "length": "value"}.items():
        answer = client.post(f"/predict/file?model={name}", content=content, headers=CSV)
        assert column in csv.DictReader(io.StringIO(answer.text)).fieldnames
    for query in ("", "?model=mod"):
        for answer in (
            client.post(f"/explain{query}", json={"text": "a"}),
            client.post(f"/predict/file{query}", content=content, headers=CSV),
        ):
            assert answer.status_code == 404 and answer.json()["detail"].endswith("Models: mood, length")
    assert client.get("/model?model=mod").status_code == 404


def test_all_models_are_reloaded_or_none(client, saved, tiny, tmp_path):
    assert client.get("/ready").json() == {"status": "ready", "version": "mood v1, length v1"}
    learn = kickbert.learner_from_df(DF, label_col="mood", model=tiny, precision="fp32", path=tmp_path)
    learn.save_artifact(saved[0])
    assert client.post("/reload").json()["version"] == "mood v2, length v1"
    assert 'name="mood",version="v2"' in client.get("/metrics").text
    learn = kickbert.learner_from_df(DF.replace("bad", "poor"), label_col="mood", model=tiny, path=tmp_path)
    learn.save_artifact(saved[0])
    refused = client.post("/reload")
    assert refused.status_code == 409 and "other columns or labels than v2" in refused.json()["detail"]
    assert client.post("/predict", json={"text": "a"}).json()["models"]["mood"]["version"] == "v2"
