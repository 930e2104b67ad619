"""The command line: fast help, one-line errors, exit codes."""

import json
import os
import subprocess
import sys

import pytest
import typer
from conftest import REPO

from kickbert.cli.commands import app


def typed(*arguments) -> subprocess.CompletedProcess:
    """Run the command line in a new process."""
    call = [sys.executable, "-c", "from kickbert.cli.commands import main; main()", *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(REPO), "COLUMNS": "120"}
    return subprocess.run(call, capture_output=True, text=True, env=env, timeout=240)


@pytest.mark.system
def test_help_is_fast_and_lists_every_command():
    done = typed("--help")
    commands = ("train", "evaluate", "predict", "report", "explore", "export", "serve", "bench", "doctor")
    assert done.returncode == 0 and all(name in done.stdout for name in commands)
    assert "--install-completion" in done.stdout
    assert typed("--version").stdout.startswith("kickbert 0.")
    code = "import sys, kickbert.cli.commands; print([m for m in ('torch', 'fastai', 'openpyxl') if m in sys.modules])"
    env = os.environ | {"PYTHONPATH": str(REPO)}
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env).stdout.strip() == "[]"


def test_without_arguments_it_shows_the_commands(kickbert):
    done = kickbert()
    assert done.returncode == 0 and "Usage: kickbert" in done.stdout and "Commands" in done.stdout and not done.stderr


def test_every_command_has_json():
    command = typer.main.get_command(app)
    assert len(command.commands) >= 10
    for name, subcommand in command.commands.items():
        assert "--json" in [option for parameter in subcommand.params for option in parameter.opts], name


def test_errors_are_one_line(kickbert, rows, served, tmp_path):
    done = kickbert("predict", rows, tmp_path / "o.csv", "--model", tmp_path / "none")
    assert done.returncode == 1 and done.stdout == ""
    assert (
        done.stderr
        == f"error: Folder not found: {tmp_path / 'none'}. Give a folder written by kickbert train or save_artifact\n"
    )
    done = kickbert("--debug", "predict", rows, tmp_path / "o.csv", "--model", tmp_path / "none")
    assert "Traceback" in done.stderr and done.stderr.splitlines()[-1].startswith("error: ")
    done = kickbert("predict", rows)
    assert done.returncode == 2 and done.stderr.startswith("error: Missing argument 'OUT'; see ")
    assert done.stderr.endswith("predict --help\n") and done.stderr.count("\n") == 1
    assert kickbert("predikt").returncode == 2
    assert kickbert("train", tmp_path / "none.csv", "--out", tmp_path).returncode == 1
    done = kickbert("train", rows, "--text", "txet", "--out", tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("error: rows.csv has no column 'txet' (--text). Columns: ")
    assert "Did you mean 'text'?" in done.stderr
    done = kickbert("explore", rows, "--target", "lable", "--out", tmp_path / "e.html")
    assert done.returncode == 1 and done.stderr.startswith(
        "error: rows.csv has no column 'lable' (--target). Columns: "
    )
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    done = kickbert("predict", tmp_path / "a.csv", tmp_path / "o.csv", "--model", served / "one", "--backend", "torch")
    assert "has no column 'text'" in done.stderr and not (tmp_path / "o.csv").exists()


def test_serve_one_model_or_several(kickbert, served, monkeypatch):
    pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
    runs = []
    monkeypatch.setattr("kickbert.serving.server.serve", lambda settings, *where: runs.append(settings))
    assert kickbert("serve", served / "one").returncode == 0 and runs[0].folder == str(served / "one")
    done = kickbert("serve", served / "one", served / "two", "--json")
    assert runs[1].folder == [str(served / "one"), str(served / "two")]
    assert json.loads(done.stdout)["model"] == f"{served / 'one'}, {served / 'two'}"
