"""Several models behind one service: each answers every text, and other requests name one model."""

import csv
import io
import shutil

import pandas as pd
import pytest
import torch
from conftest import BAD, GOOD
from fastapi.testclient import TestClient
from helpers.serving import CSV, Server

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
    for name, column in {"mood": "prob_good", "length": "predicted_label"}.items():
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


@pytest.fixture(scope="module")
def frozen(tmp_path_factory, tiny):
    """Folders of three tasks on one frozen encoder, and of a model with another encoder."""
    home = tmp_path_factory.mktemp("frozen")
    df = DF.assign(length=DF["text"].str.len(), tags=[["x"] if i % 3 else ["x", "y"] for i in range(len(DF))])
    for name in ("mood", "length", "tags"):
        save(df, home, tiny, name, side=name == "tags")
    save(df, home, tiny, "mood", name="other", change=0.1)
    return home


def save(df, home, tiny, label_col, side=False, name=None, change=0.0):
    task = "regression" if label_col == "length" else None
    learn = kickbert.learner_from_df(df, label_col=label_col, task=task, model=tiny, precision="fp32", path=home)
    learn.model.use_side(side)
    with torch.no_grad():
        next(learn.model.encoder.parameters()).add_(change)
    torch.nn.init.normal_(learn.model.head.classifier.weight)
    learn.save_artifact(home / (name or label_col))


def test_models_with_one_encoder_share_a_pass(frozen):
    names = ["mood", "other", "length", "tags"]
    app, calls = create_app(Settings([frozen / name for name in names], backend="torch", wait=0)), []
    services = app.state.services
    assert list(services) == names and services["mood"] is services["length"] is services["tags"]
    assert services["other"] is not services["mood"]
    services["mood"].models.backend.model.encoder.layers[0].register_forward_hook(lambda *_: calls.append(1))
    with TestClient(app) as client:
        calls.clear()
        models = client.post("/predict", json={"texts": ["a bright film", "a real bore"]}).json()["models"]
        assert list(models) == names and len(calls) == 1
        for name in names:
            alone = kickbert.load(frozen / name, "torch")
            predictions = alone.predict_df(pd.DataFrame({"text": ["a bright film", "a real bore"]}))
            decision = {"length": "value", "tags": "labels"}.get(name, "label")
            answers = [prediction[decision] for prediction in models[name]["predictions"]]
            expected = predictions["predicted_label"].tolist()
            assert answers == (pytest.approx(expected) if name == "length" else expected)
        assert client.get("/health").json() == {"status": "ok", "models": names}
        assert client.get("/ready").json()["version"] == ", ".join(f"{name} v1" for name in names)
        assert client.get("/model?model=tags").json()["models"] == names
        assert client.post("/explain?model=mood", json={"text": "a film"}).json()["label"] in ("good", "bad")
        assert "kickbert_texts_total 8.0" in client.get("/metrics").text


def test_a_new_version_with_another_encoder_is_refused(frozen, tiny, tmp_path):
    folders = [shutil.copytree(frozen / name, tmp_path / name) for name in ("mood", "tags")]
    with TestClient(create_app(Settings(folders, backend="torch"))) as client:
        save(DF, tmp_path, tiny, "mood", change=0.1)
        refused = client.post("/reload")
        assert refused.status_code == 409
        assert "differ in weights" in refused.json()["detail"] and "restart the service" in refused.json()["detail"]
        assert client.get("/ready").json()["version"] == "mood v1, tags v1"


@pytest.mark.system
def test_the_command_serves_several_tasks(frozen):
    server = Server(frozen / "mood", frozen / "tags", "--backend", "torch")
    try:
        answer = server.client.post("/predict", json={"text": "a bright film"}).json()
        assert list(answer["models"]) == ["mood", "tags"]
        schema = server.client.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]["200"]
        assert "ManyPredictionsResponse" in str(schema)
        assert server.client.get("/").status_code == 200
    finally:
        output = server.stop()
    assert "mood, tags: one encoder, one pass per text for all" in output
