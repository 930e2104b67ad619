"""What the command line shows: tables for people, JSON for machines, an error in a line."""

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from typer.exceptions import Abort, Exit, TyperException

FAILED, USAGE, INSIDE, STOPPED = 1, 2, 70, 130  # exit codes: EX_SOFTWARE of sysexits.h, and 128 + SIGINT


def table(df: pd.DataFrame, title: str | None = None) -> Table:
    """A DataFrame as a table of rich's; numbers stand on the right."""
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


def show(result: Any, as_json: bool, told: Callable[[Console], None]) -> None:
    """Print a result: as JSON, or as `told` prints it."""
    if as_json:
        print(json.dumps(_plain(result), indent=1, default=str))
    else:
        told(Console())


def _plain(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return json.loads(value.to_json(orient="records", double_precision=15))
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def apart(as_json: bool) -> Iterator[None]:
    """With JSON, what is printed on the way goes to standard error."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def run(command: Callable[..., Any], debug: bool) -> int:
    """Run a typer command with errors in one line; the exit code.

    Args:
        debug: show where an error comes from.
    """
    try:
        return command(standalone_mode=False) or 0
    except Exit as done:
        return done.exit_code
    except TyperException as err:  # of what was typed
        print(f"error: {err.format_message().rstrip('.')}; see {_help(err)}", file=sys.stderr)
        return err.exit_code
    except (KeyboardInterrupt, Abort):
        print("stopped", file=sys.stderr)
        return STOPPED
    except Exception as err:
        if debug:
            traceback.print_exc()
        expected = isinstance(err, (ValueError, TypeError, ImportError, OSError, RuntimeError, KeyError))
        hint = "" if expected else f" ({type(err).__name__}; kickbert --debug shows where)"
        print(f"error: {' '.join(str(err).split()) or type(err).__name__}{hint}", file=sys.stderr)
        return FAILED if expected else INSIDE


def _help(err: TyperException) -> str:
    """Where to read what could be typed."""
    context = getattr(err, "ctx", None)
    return f"{context.command_path if context else 'kickbert'} --help"
