"""The command line as a user types it: tables, JSON, exit codes, errors in a line."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import pytest
from conftest import REPO

from kickbert.cli.commands import main


@pytest.fixture
def kickbert(monkeypatch):
    """The command line in this process: to import torch anew takes longer than what most commands do."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["kickbert", *map(str, arguments)])
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
        return SimpleNamespace(returncode=ended.value.code, stdout=out.getvalue(), stderr=err.getvalue())

    return call


def typed(*arguments) -> subprocess.CompletedProcess:
    """The command line in a process of its own."""
    call = [sys.executable, "-c", "from kickbert.cli.commands import main; main()", *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(REPO), "COLUMNS": "120"}
    return subprocess.run(call, capture_output=True, text=True, env=env, timeout=240)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    from conftest import BAD, GOOD

    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    lines = [
        f'"{text} no {i}",{label}' for i in range(12) for label, ts in (("good", GOOD), ("bad", BAD)) for text in ts
    ]
    file.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    return file


def test_from_a_file_to_predictions(kickbert, rows, tiny, tmp_path):
    done = kickbert("train", rows, "--out", tmp_path / "k", "--model", tiny, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["model"].endswith("k/v1") and found["ladder"][0]["phase"] == "head"
    assert {row["score"] for row in found["scores"]} > {"accuracy", "MCC"}

    done = kickbert("evaluate", tmp_path / "k", rows)
    assert done.returncode == 0 and "accuracy" in done.stdout and "Each class" in done.stdout, done.stderr
    done = kickbert("predict", rows, tmp_path / "out.csv", "--model", tmp_path / "k", "--json")
    assert json.loads(done.stdout)["rows"] == 120, done.stderr
    assert (tmp_path / "out.csv").read_text().startswith("text,label,predicted_label,confidence")
    done = kickbert("bench", tmp_path / "k", rows, "--batch-size", 4, "--seconds", 0.1)
    assert done.returncode == 0 and "texts per second" in done.stdout, done.stderr
    done = kickbert("report", tmp_path / "k", rows, "--out", tmp_path / "r.html")
    assert done.returncode == 0 and "Summary" in (tmp_path / "r.html").read_text(), done.stderr
    done = kickbert("explore", rows, "--out", tmp_path / "e.html")
    assert done.returncode == 0 and (tmp_path / "e.html").exists(), done.stderr


def test_export(kickbert, served, rows):
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    done = kickbert("export", served / "two", rows)
    assert done.returncode == 1 and done.stderr.startswith("error: text_col='more' is not a column of df")
    done = kickbert("export", served / "one", rows, "--form", "onnx", "--json")
    assert json.loads(done.stdout)[0]["form"] == "onnx", done.stderr


def test_help_is_quick_and_names_every_command():
    done = typed("--help")
    commands = ("train", "evaluate", "predict", "report", "explore", "export", "serve", "bench", "doctor")
    assert done.returncode == 0 and all(name in done.stdout for name in commands)
    assert "--install-completion" in done.stdout
    assert typed("--version").stdout.startswith("kickbert 0.")
    code = "import sys, kickbert.cli; print([m for m in ('torch', 'pandas.io', 'fastai') if m in sys.modules])"
    env = os.environ | {"PYTHONPATH": str(REPO)}
    assert "torch" not in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env).stdout


def test_errors_are_one_line(kickbert, rows, served, tmp_path):
    done = typed("predict", rows, tmp_path / "o.csv", "--model", tmp_path / "none")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"error: {tmp_path / 'none'} is no folder here; give one that save_artifact wrote\n"
    done = kickbert("--debug", "predict", rows, tmp_path / "o.csv", "--model", tmp_path / "none")
    assert "Traceback" in done.stderr and done.stderr.splitlines()[-1].startswith("error: ")
    done = kickbert("predict", rows)
    assert done.returncode == 2 and done.stderr.startswith("error: Missing argument 'OUT'; see ")
    assert done.stderr.endswith("predict --help\n") and done.stderr.count("\n") == 1
    assert kickbert("predikt").returncode == 2
    assert kickbert("train", tmp_path / "none.csv", "--out", tmp_path).returncode == 1
    done = kickbert("train", rows, "--text", "txet", "--out", tmp_path)
    assert done.returncode == 1 and "did you mean 'text'?" in done.stderr
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    done = kickbert("predict", tmp_path / "a.csv", tmp_path / "o.csv", "--model", served / "one", "--backend", "torch")
    assert "has no column 'text'" in done.stderr and not (tmp_path / "o.csv").exists()


def test_doctor(kickbert):
    found = json.loads(kickbert("doctor", "--json").stdout)
    checks = {row["check"]: row for row in found}
    assert checks["torch"]["ok"] == "yes" and "HF_HUB_OFFLINE" in checks["hub"]["found"]
    assert {"GPU", "bf16", "memory", "kickbert[minilm]", "kickbert[serve]"} <= set(checks)
    assert "kickbert doctor" in kickbert("doctor").stdout
