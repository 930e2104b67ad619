"""The page as an application: its policy, its user, and the hosts it answers."""

import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[label] is not installed")
pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")
from fastapi.testclient import TestClient
from helpers.topics import embed

from kickbert.labeling.app import create_app
from kickbert.labeling.child_process import ChildProcess
from kickbert.labeling.session import LabelingSession


def test_the_page(make_database, monkeypatch):
    for name in ("USER", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    app = create_app(LabelingSession(make_database(), embed), ChildProcess(dict), local=False)
    client = TestClient(app, base_url="http://labels.example")  # with local=False any name will do
    assert client.get("/").text.startswith("<!doctype html>") and client.get("/ready").status_code == 200
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]
    assert client.get("/api/progress").json()["who"] == "me"
