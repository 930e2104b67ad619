"""The command line: fast help, one-line errors, exit codes."""

import io
import json
import os
import socket
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
    assert done.returncode == 1 and done.stderr.startswith("error: rows.csv has no column 'lable' (--label). Columns: ")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    done = kickbert("predict", tmp_path / "a.csv", tmp_path / "o.csv", "--model", served / "one", "--backend", "torch")
    assert "has no column 'text'" in done.stderr and not (tmp_path / "o.csv").exists()


def test_serve_one_model_or_several(kickbert, served, monkeypatch):
    pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
    runs = []
    monkeypatch.setattr("kickbert.utils.sockets.open_socket", lambda host, port: io.StringIO())
    monkeypatch.setattr("kickbert.serving.server.serve", lambda settings, *where: runs.append(settings))
    assert kickbert("serve", served / "one").returncode == 0 and runs[0].folder == str(served / "one")
    done = kickbert("serve", served / "one", served / "two", "--json")
    assert runs[1].folder == [str(served / "one"), str(served / "two")]
    assert json.loads(done.stdout)["model"] == f"{served / 'one'}, {served / 'two'}"


def test_a_wrong_port_is_reported_before_anything_is_loaded(kickbert, served, monkeypatch):
    monkeypatch.setattr("kickbert.cli.commands._fetched", None)
    for command in ("serve", "label"):
        done = kickbert(command, served / "one", "--port", 99_999)
        assert done.returncode == 2 and "'--port'" in done.stderr and "65535" in done.stderr


@pytest.mark.system
def test_a_port_in_use_is_reported_before_anything_is_loaded(kickbert, served, monkeypatch):
    pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
    monkeypatch.setattr("kickbert.cli.commands._fetched", None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = kickbert("serve", served / "one", "--port", port)
    assert done.returncode == 1 and f"error: port {port} of 127.0.0.1 is in use by another program" in done.stderr


@pytest.mark.system
@pytest.mark.parametrize(
    "command",
    [
        ["train", "ROWS", "--text", "txet"],
        ["explore", "ROWS", "--label", "txet"],
        ["evaluate", "MODEL", "ROWS", "--label", "txet"],
        ["report", "MODEL", "ROWS", "--text", "txet"],
        ["predict", "ROWS", "out.csv", "--model", "MODEL", "--text", "txet"],
    ],
)
def test_a_wrong_column_is_reported_before_torch_is_imported(command, rows, served, tmp_path):
    arguments = [{"ROWS": str(rows), "MODEL": str(served / "one")}.get(word, word) for word in command]
    code = (
        "import sys; from kickbert.cli.commands import app; from kickbert.cli.output import run; import typer;"
        f"sys.argv = ['kickbert', *{arguments!r}]; code = run(typer.main.get_command(app), False);"
        "print(code, 'torch' in sys.modules)"
    )
    env = os.environ | {"PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.stdout.split() == ["1", "False"], done.stderr
    assert f"has no column 'txet' ({command[-2]}). Columns: 'text', 'label'. Did you mean 'text'?" in done.stderr


def test_an_error_with_json_is_one_object(kickbert, rows, served, tmp_path):
    nothing = tmp_path / "none"
    calls = [
        ["train", rows, "--text", "txet"],
        ["train", rows, "--task", "lots"],
        ["evaluate", nothing, rows],
        ["predict", rows, rows, "--model", served / "one"],
        ["report", served / "one", nothing, "--out", tmp_path / "r.html"],
        ["explore", nothing],
        ["export", served / "one", nothing],
        ["bench", nothing],
        ["serve", served / "one", "--port", 0],
        ["label", nothing],
        ["doctor", "--no-such-option"],
    ]
    assert len({call[0] for call in calls}) == len(typer.main.get_command(app).commands)
    for call in calls:
        done = kickbert(*call, "--json")
        assert list(json.loads(done.stdout)) == ["error"] and done.returncode in (1, 2) and not done.stderr, call
