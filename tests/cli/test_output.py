"""Tables show text verbatim, JSON is exact, and errors have exit codes."""

import json
import warnings

import pandas as pd
import pytest
from typer.exceptions import Abort

from kickbert.cli.output import FAILED, INSIDE, STOPPED, print_result, prints_to_stderr, run, table, warned


def test_names_are_not_markup(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    df = pd.DataFrame({"[bold]": ['pip install "kickbert[minilm]"'], "n": [1234.5]})

    def as_text(console):
        console.print(table(df, "[red] and :smile:"))
        console.print("kickbert[export] [/x]")

    print_result(df, False, as_text)
    printed = capsys.readouterr().out
    for text in ("[bold]", 'pip install "kickbert[minilm]"', "[red] and :smile:", "kickbert[export] [/x]", "1,23"):
        assert text in printed, text


def test_a_table_of_scores_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    columns = ["score", "model", "low", "high", "majority", "TF-IDF + linear model"]
    df = pd.DataFrame([["expected calibration error", 4e-4, 0.123, 0.456, 0.789, 0.5]], columns=columns)
    print_result(df, False, lambda console: console.print(table(df)))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and "0.0004" in lines[2] + lines[3] and "0.789" in lines[2] + lines[3], lines
    scores = ["train_loss", "valid_loss", "accuracy", "macro-F1", "quadratic kappa"]
    row = {"phase": "last 4 layers", "epochs": 2, "lr": 4e-4, "seconds": 130.0, **dict.fromkeys(scores, 0.123)}
    print_result(row, False, lambda console: console.print(table(pd.DataFrame([row]))))
    printed = capsys.readouterr().out
    assert "…" not in printed and "quadratic" in printed and printed.count("0.123") == 5


def test_stdout_is_exact_json_only(capsys):
    with prints_to_stderr(True):
        print("on the way")
    print_result({"p": 0.1 + 0.2, "rows": pd.DataFrame({"x": [0.125, None]}), "many": (1, 2)}, True, print)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"p": 0.1 + 0.2, "rows": [{"x": 0.125}, {"x": None}], "many": [1, 2]}
    assert printed.err == "on the way\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("two\nlines"), FAILED, "error: two lines\n"),
        (AssertionError("odd"), INSIDE, "error: odd (AssertionError; kickbert --debug shows where)\n"),
        (KeyboardInterrupt(), STOPPED, "stopped\n"),
        (Abort(), STOPPED, "stopped\n"),
    ],
)
def test_errors(capsys, error, code, line):
    def command(standalone_mode):
        raise error

    assert run(command, debug=False) == code and capsys.readouterr().err == line


def test_an_eof_error_is_not_reported_as_stopped(capsys):
    def command(standalone_mode):
        raise Abort from EOFError("Ran out of input")  # as typer does

    assert run(command, debug=False) == FAILED and capsys.readouterr().err == "error: Ran out of input\n"


@pytest.mark.parametrize(("error", "code"), [(ValueError("two\nlines"), FAILED), (KeyboardInterrupt(), STOPPED)])
def test_errors_as_json(capsys, error, code):
    def command(standalone_mode):
        raise error

    assert run(command, debug=False, as_json=True) == code
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"error": "two lines" if code == FAILED else "stopped"} and not printed.err


def test_a_warning_appears_once(capsys):
    def command(standalone_mode):
        for number in (1, 1, 2):
            warnings.warn_explicit(f"note {number}", UserWarning, "file.py", number, registry={})
        assert warned("Note 1.".lower()) and not warned("note 3")

    assert run(command, debug=False) == 0 and capsys.readouterr().err == "warning: note 1\nwarning: note 2\n"
    assert run(lambda standalone_mode: int(warned("note 1")), debug=False) == 0  # a command starts without any


def test_a_warning_is_one_line(capsys):
    def command(standalone_mode):
        warnings.warn("3 rows\n have no text", stacklevel=1)

    assert run(command, debug=False) == 0 and capsys.readouterr().err == "warning: 3 rows have no text\n"


def test_a_warning_on_which_no_user_can_act_is_not_shown(capsys):
    def command(standalone_mode):
        warnings.warn("`torch.jit.script` is deprecated", FutureWarning, stacklevel=1)

    assert run(command, debug=False) == 0 and capsys.readouterr().err == ""
