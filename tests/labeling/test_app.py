"""What the page talks to: labels, classes, files, and whose requests are answered."""

import io
import socket
import sqlite3

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[label] is not installed")
pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")
from fastapi.testclient import TestClient
from helpers.serving import free_port
from helpers.topics import WORDS, embed, topics

from kickbert.labeling.app import create_app, label_rows, open_socket
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.session import LabelingSession
from kickbert.labeling.tables import add_table, read
from kickbert.labeling.tuning import TaskProcess, train_from_labels

ASK = {"browser": "b", "who": "anna"}


@pytest.fixture
def session(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["text"], wait=0.05)
    add_table(database, topics(60, seed=1), name="rows.csv")
    add_classes(ClassList(database), WORDS)
    yield LabelingSession(database, embed)
    database.close()


@pytest.fixture
def client(session, tmp_path):
    app = create_app(
        session, TaskProcess(train_from_labels, session.database.file, tmp_path / "model", "minilm"), "anna"
    )
    return TestClient(app, base_url="http://127.0.0.1:8010", raise_server_exceptions=False)


def test_from_text_to_label_and_back(client, session):
    assert client.get("/").text.startswith("<!doctype html>") and client.get("/ready").status_code == 200
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]
    texts = client.post("/api/next", json=ASK).json()
    assert len(texts) == 3 and texts[0]["texts"][0] and texts[0]["suggestion"] is None
    body = ASK | {"row": texts[0]["row"], "label": "sport", "seconds": 2.0, "note": "n", "request": "1"}
    first = client.post("/api/labels", json=body).json()
    assert client.post("/api/labels", json=body).json() == first  # the answer got lost, the page asks again
    assert client.get("/api/progress").json()["labelled"] == 1
    assert client.post("/api/back", json=ASK).json()["given"]["label"] == "sport"
    assert client.get(f"/api/rows/{texts[0]['row']}").json()["given"]["note"] == "n"
    assert client.post("/api/undo", json=ASK).json()["row"] == texts[0]["row"]
    assert client.get("/api/progress").json()["labelled"] == 0
    words = client.get(f"/api/words/{texts[0]['row']}", params={"label": "sport"})
    assert words.json() == {"label": None, "words": []}


def test_progress_has_all_that_the_page_shows(client, session):
    while session.model.step():
        pass
    for i in range(30):
        item = client.post("/api/next", json=ASK).json()[0]
        name = next(name for name, words in WORDS.items() if set(words) & set(item["texts"][0].split()))
        client.post("/api/labels", json=ASK | {"row": item["row"], "label": name, "request": str(i)})
        while session.model.step():
            pass
    found = client.get("/api/progress").json()
    assert (found["source"], found["columns"], found["who"]) == ("rows.csv", ["text"], "anna")
    assert found["embedded"] == 1 and found["assessment"]["labels"] == 30 and sum(found["counts"].values()) == 30
    assert found["training"] == {"state": "none"} and found["problem"] is None
    item = client.post("/api/next", json=ASK).json()[0]
    words = client.get(f"/api/words/{item['row']}", params={"label": "sport"}).json()
    assert [w["word"] for w in words["words"]] == item["texts"][0].split() and words["label"] == "sport"


def test_classes_over_http(client):
    assert client.post("/api/classes", json={"name": "  film  news "}).json() == {"name": "film news"}
    assert client.post("/api/classes/rename", json={"name": "film news", "new": "films"}).json() == {"name": "films"}
    client.post("/api/classes/rename", json={"name": "films", "new": "sport"})
    assert client.post("/api/classes/split", json={"name": "films"}).json() == {"name": "films"}
    assert [c["name"] for c in client.get("/api/progress").json()["classes"]] == [*WORDS, "films"]
    wrong = client.post("/api/classes", json={"name": "Sport"})
    assert wrong.status_code == 422 and "'sport' is there already" in wrong.json()["detail"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_labels_as_a_file(client, session, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    session.label(session.rows[0].id, "sport", "anna")
    answer = client.get(f"/api/labels{ending}")
    back = pd.read_csv(io.BytesIO(answer.content)) if ending == ".csv" else pd.read_parquet(io.BytesIO(answer.content))
    assert back["label"].tolist() == ["sport"] and f'filename="labels{ending}"' in answer.headers["content-disposition"]
    assert client.get("/api/labels.exe").status_code == 422


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://127.0.0.1:8010"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 400),  # a name that was made to point here
    ],
)
def test_other_sites_in_the_same_browser_cannot_label(client, headers, code):
    assert client.post("/api/next", json=ASK, headers=headers).status_code == code


def test_what_cannot_be_is_told(client, session):
    body = ASK | {"row": 999, "label": "sport", "request": "1"}
    assert "row 999 is not among the texts" in client.post("/api/labels", json=body).json()["detail"]
    assert client.post("/api/labels", json=body | {"label": "x" * 201}).status_code == 422
    assert client.post("/api/labels", json=body | {"request": ""}).status_code == 422


def test_a_locked_database_is_told_and_the_label_can_be_sent_again(client, session):
    other = sqlite3.connect(session.database.file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    body = ASK | {"row": session.rows[0].id, "label": "sport", "request": "1"}
    answer = client.post("/api/labels", json=body)
    assert answer.status_code == 503 and "kept locked by another program" in answer.json()["detail"]
    other.execute("ROLLBACK")
    other.close()
    assert client.post("/api/labels", json=body).status_code == 200 and len(read(session.database.file)) == 1


def test_a_port_in_use_is_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 is in use by another program; give another"):
            label_rows(topics(3), tmp_path / "labels.db", port=port)
    assert not (tmp_path / "labels.db").exists()
    with pytest.raises(ValueError, match=r"port \d+ of 203\.0\.113\.1 cannot be used: "):
        open_socket("203.0.113.1", free_port())


def test_a_table_that_cannot_be_labelled_leaves_no_database(tmp_path):
    with pytest.raises(ValueError, match="text_col='title' is not a column of df; columns are"):
        label_rows(topics(3), tmp_path / "labels.db", text_col=["title"], port=free_port())
    assert not (tmp_path / "labels.db").exists()
