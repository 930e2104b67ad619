"""The program behind `kickbert label`: its port, its database, and what it prints."""

import socket

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[label] is not installed")
pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")
from helpers.serving import free_port
from helpers.topics import embed, topics

from kickbert.labeling import server
from kickbert.labeling.server import label_rows
from kickbert.labeling.tables import read
from kickbert.utils.sockets import open_socket


@pytest.fixture
def without_network(monkeypatch):
    """Let the server end at once, on a socket that listens to nothing."""
    monkeypatch.setattr(server, "open_socket", lambda host, port: socket.socket())
    monkeypatch.setattr(server, "_run", lambda app, listening: None)
    monkeypatch.setattr(server, "_models", lambda model: (embed, None))


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_a_table_is_added_and_resumed(without_network, tmp_path, capsys, host):
    file = tmp_path / "labels.db"
    df = topics(5).assign(label=["sport", None, None, None, None])
    label_rows(df, file, classes=["money"], label_col="label", source="rows.csv", host=host)
    label_rows(None, file, classes=["money", "health"])
    assert read(file)["label"].tolist() == ["sport"]
    out = capsys.readouterr().out
    assert f"rows.csv: 5 new, 0 already in {file}" in out and f"next: kickbert train {file} --out" in out
    assert ("anyone who can reach this host can read and label the texts" in out) == (host == "::")
    assert ("http://[::]:8010" in out) == (host == "::")


def test_a_table_that_cannot_be_labeled_leaves_no_database(without_network, tmp_path):
    with pytest.raises(ValueError, match="text_col='title' is not a column of df"):
        label_rows(topics(3), tmp_path / "labels.db", text_col=["title"])
    assert not (tmp_path / "labels.db").exists()


@pytest.mark.system
def test_a_port_in_use_is_reported(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 is in use by another program; choose another"):
            label_rows(pd.DataFrame({"text": ["a"]}), tmp_path / "labels.db", port=port)
    assert not (tmp_path / "labels.db").exists()
    with pytest.raises(ValueError, match=r"port \d+ of 203\.0\.113\.1 cannot be used: "):
        open_socket("203.0.113.1", free_port())
