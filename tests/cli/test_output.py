"""Tables show what stands in the data, JSON is exact, and errors have exit codes."""

import json
import warnings

import pandas as pd
import pytest
from typer.exceptions import Abort

from kickbert.cli.output import FAILED, INSIDE, STOPPED, print_result, prints_to_stderr, run, table


def test_names_are_no_markup(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    df = pd.DataFrame({"[bold]": ['pip install "kickbert[minilm]"'], "n": [1234.5]})

    def as_text(console):
        console.print(table(df, "[red] and :smile:"))
        console.print("kickbert[export] [/x]")

    print_result(df, False, as_text)
    printed = capsys.readouterr().out
    for text in ("[bold]", 'pip install "kickbert[minilm]"', "[red] and :smile:", "kickbert[export] [/x]", "1,23"):
        assert text in printed, text


def test_json_is_exact_and_alone(capsys):
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


def test_the_end_of_a_file_is_no_ctrl_d(capsys):
    def command(standalone_mode):
        raise Abort from EOFError("Ran out of input")  # as typer does

    assert run(command, debug=False) == FAILED and capsys.readouterr().err == "error: Ran out of input\n"


def test_a_warning_is_a_line(capsys):
    def command(standalone_mode):
        warnings.warn("3 rows\n have no text", stacklevel=1)

    assert run(command, debug=False) == 0 and capsys.readouterr().err == "warning: 3 rows have no text\n"
