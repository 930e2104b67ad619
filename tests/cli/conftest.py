"""The command line in this process, and input rows for it."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import pytest
from conftest import BAD, GOOD

from kickbert.cli.commands import main


@pytest.fixture
def kickbert(monkeypatch):
    """Call the command line in this process, because importing torch takes longer than most commands."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["kickbert", *map(str, arguments)])
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
        return SimpleNamespace(returncode=ended.value.code, stdout=out.getvalue(), stderr=err.getvalue())

    return call


@pytest.fixture(scope="session")
def rows(tmp_path_factory):
    """A CSV file with 120 labeled rows."""
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    labeled = [(text, label) for label, texts in (("good", GOOD), ("bad", BAD)) for text in texts]
    lines = [f'"{text} no {i}",{label}' for i in range(12) for text, label in labeled]
    file.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    return file
