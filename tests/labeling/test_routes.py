"""The API of the page: labels, classes, files, and refused requests."""

import io
import sqlite3

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[label] is not installed")
pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")
from fastapi.testclient import TestClient
from helpers.labeling import settle, topic_of
from helpers.topics import WORDS, embed

from kickbert.labeling.app import create_app
from kickbert.labeling.child_process import ChildProcess
from kickbert.labeling.session import LabelingSession
from kickbert.labeling.tables import read

ASKER = {"browser": "b", "who": "anna"}


@pytest.fixture
def session(make_database):
    return LabelingSession(make_database(name="labels.db", wait=0.05), embed)


@pytest.fixture
def client(session):
    app = create_app(session, ChildProcess(dict), "anna")
    return TestClient(app, base_url="http://127.0.0.1:8010", raise_server_exceptions=False)


def test_from_text_to_label_and_back(client):
    texts = client.post("/api/next", json=ASKER).json()
    assert len(texts) == 3 and texts[0]["texts"][0] and texts[0]["suggestion"] is None
    body = ASKER | {"row": texts[0]["row"], "label": "sport", "seconds": 2.0, "note": "n", "request": "1"}
    first = client.post("/api/labels", json=body).json()
    assert client.post("/api/labels", json=body).json() == first  # the answer got lost, so the page asks again
    assert client.get("/api/progress").json()["labeled"] == 1
    assert client.post("/api/back", json=ASKER).json()["previous"]["label"] == "sport"
    assert client.get(f"/api/rows/{texts[0]['row']}").json()["previous"]["note"] == "n"
    assert client.post("/api/undo", json=ASKER).json()["row"] == texts[0]["row"]
    assert client.get("/api/progress").json()["labeled"] == 0
    words = client.get(f"/api/words/{texts[0]['row']}", params={"label": "sport"})
    assert words.json() == {"label": None, "words": []}


def test_progress_contains_everything_the_page_shows(client, session):
    for row in session.rows[:30]:
        session.label(row.id, topic_of(row.texts[0]), "anna")
    settle(session.model)
    progress = client.get("/api/progress").json()
    assert (progress["source"], progress["columns"], progress["who"]) == ("rows.csv", ["text"], "anna")
    assert progress["embedded"] == 1 and progress["assessment"]["labels"] == 30
    assert sum(progress["counts"].values()) == 30 and progress["problem"] is None
    assert progress["training"] == {"state": "none"}
    item = client.post("/api/next", json=ASKER).json()[0]
    words = client.get(f"/api/words/{item['row']}", params={"label": "sport"}).json()
    assert [w["word"] for w in words["words"]] == item["texts"][0].split() and words["label"] == "sport"


@pytest.mark.parametrize("shown", [True, False])
def test_the_page_says_whether_the_suggestion_was_shown(client, session, shown):
    for row in session.rows[:30]:
        session.label(row.id, topic_of(row.texts[0]), "anna")
    settle(session.model)
    item = next(item for item in client.post("/api/next", json=ASKER).json() if item["suggestion"])
    body = ASKER | {"row": item["row"], "label": "sport", "shown": shown, "request": "1"}
    assert client.post("/api/labels", json=body).status_code == 200
    assert session.database.labels()[-1].shown is shown


def test_classes(client):
    assert client.post("/api/classes", json={"name": "  film  news "}).json() == {"name": "film news"}
    assert client.post("/api/classes/rename", json={"name": "film news", "new": "films"}).json() == {"name": "films"}
    client.post("/api/classes/rename", json={"name": "films", "new": "sport"})
    assert client.post("/api/classes/split", json={"name": "films"}).json() == {"name": "films"}
    assert [c["name"] for c in client.get("/api/progress").json()["classes"]] == [*WORDS, "films"]
    wrong = client.post("/api/classes", json={"name": "Sport"})
    assert wrong.status_code == 422 and "'sport' already exists" in wrong.json()["detail"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_labels_as_a_file(client, session, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    session.label(session.rows[0].id, "sport", "anna")
    answer = client.get(f"/api/labels{ending}")
    back = pd.read_csv(io.BytesIO(answer.content)) if ending == ".csv" else pd.read_parquet(io.BytesIO(answer.content))
    assert back["label"].tolist() == ["sport"] and f'filename="labels{ending}"' in answer.headers["content-disposition"]
    assert client.get("/api/labels.exe").status_code == 422


def test_training_is_started_by_the_page(client, monkeypatch):
    started = []
    monkeypatch.setattr(ChildProcess, "start", lambda self: started.append(self))
    assert client.post("/api/train").json() == {"state": "none"} and len(started) == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://127.0.0.1:8010"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 400),  # a name that was pointed at this machine
    ],
)
def test_other_sites_in_the_same_browser_cannot_label(client, headers, code):
    assert client.post("/api/next", json=ASKER, headers=headers).status_code == code


def test_bad_labels_are_refused(client):
    body = ASKER | {"row": 999, "label": "sport", "request": "1"}
    assert "row 999 was added after this page started" in client.post("/api/labels", json=body).json()["detail"]
    assert client.post("/api/labels", json=body | {"label": "x" * 201}).status_code == 422
    assert client.post("/api/labels", json=body | {"request": ""}).status_code == 422


def test_a_locked_database_is_reported_and_the_label_can_be_sent_again(client, session):
    other = sqlite3.connect(session.database.file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    body = ASKER | {"row": session.rows[0].id, "label": "sport", "request": "1"}
    answer = client.post("/api/labels", json=body)
    assert answer.status_code == 503 and "locked by another program" in answer.json()["detail"]
    other.execute("ROLLBACK")
    other.close()
    assert client.post("/api/labels", json=body).status_code == 200 and len(read(session.database.file)) == 1
