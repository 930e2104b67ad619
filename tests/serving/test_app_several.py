"""Several models behind one service: one request, the answer of each; the rest is asked of one by its name."""

import csv
import io
import json

import pandas as pd
import pytest
from conftest import BAD, GOOD

pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
from fastapi.testclient import TestClient

import kickbert
from kickbert.serving import Settings, create_app
from kickbert.serving.schemas import ManyPredictionsResponse

TEXTS = ["a bright, warm film", "a dull, cold film and so on", " "]


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tiny):
    """Folders of two models whose embeddings and first layer are the same, and of one that is cleaned otherwise."""
    home, df = tmp_path_factory.mktemp("several"), pd.DataFrame({"text": 4 * (GOOD + BAD)})
    df["mood"], df["length"] = 4 * (5 * ["good"] + 5 * ["bad"]), df["text"].str.len()
    ways = {"mood": {"label_col": "mood"}, "length": {"label_col": "length", "task": "regression"}}
    ways["lower"] = {"label_col": "mood", "cleaning": ["convert_to_lowercase"]}
    for name, how in ways.items():
        learn = kickbert.learner_from_df(df, model=tiny, precision="fp32", path=home, **how)
        learn.fit_gradual([kickbert.Phase("last layer", 2, 1, 5e-3)])
        learn.save_artifact(home / name)
    return [home / name for name in ways]


@pytest.fixture(scope="module")
def client(saved):
    with TestClient(create_app(Settings(saved, examples=("a film",)))) as client:
        yield client


def test_each_model_answers_as_it_does_by_itself(client, saved):
    response = client.post("/predict", json={"texts": TEXTS})
    answer = ManyPredictionsResponse.model_validate(response.json(), strict=True)
    assert response.status_code == 200 and list(answer.models) == ["mood", "length", "lower"]
    for folder in saved:
        alone = kickbert.load(folder, backend="torch")
        predictions = answer.models[folder.name].predictions
        assert answer.models[folder.name].version == "v1" and len(predictions) == 3
        if folder.name == "length":
            assert [p.value for p in predictions[:2]] == pytest.approx(alone.predict(TEXTS)[:2], rel=1e-5)
        else:
            probs = alone.predict_proba(TEXTS)
            assert [p.label for p in predictions] == [*alone.predict(TEXTS[:2]), None]
            assert list(predictions[0].probabilities.values()) == pytest.approx(probs[0].tolist(), abs=1e-5)
    assert client.post("/predict", json={"texts": TEXTS, "min_confidence": 0.5}).status_code == 422  # of a number none


def test_a_model_is_asked_by_its_name(client):
    described = client.get("/model?model=length").json()
    assert described["name"] == "length" and described["models"] == ["mood", "length", "lower"]
    assert client.get("/model").json()["name"] == "mood"
    why = client.post("/explain?model=mood", json={"text": TEXTS[0], "label": "bad"}).json()
    assert why["label"] == "bad" and [word["word"] for word in why["words"]]
    content = "text\n" + "\n".join(f'"{text}"' for text in TEXTS[:2])
    for name, column in {"mood": "prob_good", "length": "value"}.items():
        labelled = client.post(f"/label?model={name}", content=content, headers={"Content-Type": "text/csv"})
        assert column in csv.DictReader(io.StringIO(labelled.text)).fieldnames
    for path, body in {"/explain": {"text": "a"}, "/explain?model=mod": {"text": "a"}, "/label": None}.items():
        response = client.post(path, content=json.dumps(body) if body else content)
        response = client.post(path, json=body) if body else response
        assert response.status_code == 404
        assert response.json()["detail"].endswith(
            "is not one of ['mood', 'length', 'lower']; name one of them: ?model=…"
        )
    assert client.get("/model?model=mod").status_code == 404


def test_all_are_loaded_again_and_all_versions_are_told(client, saved, tiny, tmp_path):
    assert client.get("/ready").json() == {"status": "ready", "version": "mood v1, length v1, lower v1"}
    df = pd.DataFrame({"text": 4 * (GOOD + BAD), "mood": 4 * (5 * ["good"] + 5 * ["bad"])})
    learn = kickbert.learner_from_df(df, label_col="mood", model=tiny, precision="fp32", path=tmp_path)
    learn.save_artifact(saved[0])
    assert client.post("/reload").json()["version"] == "mood v2, length v1, lower v1"
    learn = kickbert.learner_from_df(df.replace("bad", "poor"), label_col="mood", model=tiny, path=tmp_path)
    learn.save_artifact(saved[0])
    refused = client.post("/reload")
    assert refused.status_code == 409 and "other columns or labels than v2" in refused.json()["detail"]
    assert client.post("/predict", json={"text": "a"}).json()["models"]["mood"]["version"] == "v2"


def test_shared_layers_run_once_for_requests_that_come_together(client, monkeypatch):
    layer, calls = type(client.app.state.service.model.models["length"].backend.model.encoder.layers[0]), []
    forward = layer.forward
    monkeypatch.setattr(layer, "forward", lambda self, *a, **k: calls.append(self) or forward(self, *a, **k))
    client.post("/predict", json={"texts": TEXTS[:2]})
    assert len(calls) == 1 + 2 + 2  # the first layer of mood and length, the second of each, both of lower


def test_one_model_alone_answers_as_before(saved):
    with TestClient(create_app(Settings(saved[1], backend="torch"))) as client:
        assert list(client.post("/predict", json={"text": "a"}).json()) == ["version", "predictions"]
        assert client.get("/ready").json()["version"] == "v1" and client.get("/model").json()["models"] == ["length"]
        assert client.post("/explain", json={"text": "a film"}).status_code == 200
        assert client.post("/explain?model=length", json={"text": "a film"}).status_code == 200
