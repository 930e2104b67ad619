"""Output of the command line: tables for people, JSON for programs, a warning or an error in a line."""

import json
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from typer.exceptions import Abort, Exit, TyperException

FAILED, USAGE, INSIDE, STOPPED = 1, 2, 70, 130  # exit codes: EX_SOFTWARE of sysexits.h, and 128 + SIGINT


def table(df: pd.DataFrame, title: str | None = None) -> Table:
    """A DataFrame as a table of Rich; numbers stand on the right."""
    out = Table(title=title, title_justify="left", header_style="bold")
    for name in df.columns:
        out.add_column(str(name), justify="right" if pd.api.types.is_numeric_dtype(df[name]) else "left")
    for row in df.itertuples(index=False, name=None):
        out.add_row(*map(_cell, row))
    return out


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def print_result(result: Any, as_json: bool, as_text: Callable[[Console], None]) -> None:
    """Print the result of a command.

    Args:
        result: what JSON is made of: a DataFrame, or a dict that may hold some.
        as_json: whether to print that, or else what `as_text` prints.
        as_text: prints to a console.
    """
    if as_json:
        print(json.dumps(_plain(result), indent=1, default=str))
    else:
        # Rich would take the extra of kickbert[minilm] for markup, and a class :x: for a picture.
        as_text(Console(markup=False, emoji=False))


def _plain(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return json.loads(value.to_json(orient="records", double_precision=15))
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def prints_to_stderr(as_json: bool) -> Iterator[None]:
    """Send what is printed on the way to standard error, so that JSON stands alone on standard output."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def run(command: Callable[..., Any], debug: bool) -> int:
    """Run a typer command, with each warning and error in a line of its own.

    Args:
        command: the application.
        debug: whether to print the traceback of an error.
    Returns:
        The exit code.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(f"warning: {_one_line(message)}", file=sys.stderr)
            return command(standalone_mode=False) or 0
    except Exit as done:
        return done.exit_code
    except TyperException as err:  # of what was typed
        print(f"error: {err.format_message().rstrip('.')}; see {_help(err)}", file=sys.stderr)
        return err.exit_code
    except (KeyboardInterrupt, Abort) as stop:
        if isinstance(stop.__cause__, EOFError):  # typer takes the end of a broken file for a person's Ctrl-D
            return _failed(stop.__cause__, debug)
        print("stopped", file=sys.stderr)
        return STOPPED
    except Exception as err:
        return _failed(err, debug)


def _failed(err: BaseException, debug: bool) -> int:
    """Print an error; its exit code."""
    if debug:
        traceback.print_exception(err)
    expected = isinstance(err, (ValueError, TypeError, ImportError, OSError, EOFError, RuntimeError, KeyError))
    hint = "" if expected else f" ({type(err).__name__}; kickbert --debug shows where)"
    print(f"error: {_one_line(err) or type(err).__name__}{hint}", file=sys.stderr)
    return FAILED if expected else INSIDE


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _help(err: TyperException) -> str:
    """The command that shows the usage."""
    context = getattr(err, "ctx", None)
    return f"{context.command_path if context else 'kickbert'} --help"
