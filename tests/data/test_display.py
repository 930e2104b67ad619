import pandas as pd
import pytest

from kickbert.data import display


def test_long_texts_are_shortened_to_fit_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    display.show_table(pd.DataFrame({"text": ["word " * 40], "target": ["good"]}))
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert all(len(line) <= 50 for line in lines) and "…" in lines[1] and lines[1].split()[-1] == "good"


def test_html_in_a_notebook(monkeypatch, capsys):
    pytest.importorskip("IPython")
    shown = []
    monkeypatch.setattr(display, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    display.show_table(pd.DataFrame({"text": ["<b>bold</b>"], "target": ["good"]}))
    assert "&lt;b&gt;bold" in shown[0].data and capsys.readouterr().out == ""
