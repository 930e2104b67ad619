"""Output of the command line: tables or JSON, and one line per warning or error."""

import json
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from typer.exceptions import Abort, Exit, TyperException

if TYPE_CHECKING:  # `kickbert --help` must be fast
    import pandas as pd

_printed: list[str] = []  # the warnings of this command
FAILED, USAGE, INSIDE, STOPPED = 1, 2, 70, 130  # exit codes: EX_SOFTWARE of sysexits.h, and 128 + SIGINT


def table(df: "pd.DataFrame", title: str | None = None) -> RenderableType:
    """A DataFrame as a Rich table under its title; numbers are aligned right."""
    import pandas as pd

    from kickbert.utils.html_page import cell

    out = Table(header_style="bold", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for name in df.columns:
        # Names break at their spaces, so that many columns fit into a narrow terminal.
        out.add_column(
            str(name).replace("_", " "), justify="right" if pd.api.types.is_numeric_dtype(df[name]) else "left"
        )
    for row in df.itertuples(index=False, name=None):
        out.add_row(*map(cell, row))
    # Rich would wrap the title of a narrow table.
    return out if title is None else Group(Text(title, style="italic"), out)


def print_result(result: Any, as_json: bool, as_text: Callable[[Console], None]) -> None:
    """Print the result of a command.

    Args:
        result: a DataFrame, or a dict that may contain some, for JSON.
        as_json: whether to print JSON instead of text.
        as_text: prints text to a console.
    """
    if as_json:
        print(json.dumps(_plain(result), indent=1, default=str))
    else:
        # Rich would read kickbert[minilm] as markup and a class :x: as an emoji.
        as_text(Console(markup=False, emoji=False))


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return json.loads(value.to_json(orient="records", double_precision=15))
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def prints_to_stderr(as_json: bool) -> Iterator[None]:
    """Send printed progress to standard error, so that standard output has only JSON."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def run(command: Callable[..., Any], debug: bool, as_json: bool = False) -> int:
    """Run a typer command; each warning and error is one line, and a warning appears once.

    Args:
        command: the application.
        debug: whether to print the traceback of an error.
        as_json: whether to print an error as a JSON object, `{"error": …}`, to standard output.
    Returns:
        The exit code.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # a library's, on which no user can act
            _printed.clear()
            warnings.showwarning = _print_once
            return command(standalone_mode=False) or 0
    except Exit as done:
        return done.exit_code
    except TyperException as err:  # an error of usage
        _print_error(f"{err.format_message().rstrip('.')}; see {_help(err)}", as_json)
        return err.exit_code
    except (KeyboardInterrupt, Abort) as stop:
        if isinstance(stop.__cause__, EOFError):  # typer takes the end of a truncated file for Ctrl-D
            return _failed(stop.__cause__, debug, as_json)
        print(json.dumps({"error": "stopped"}) if as_json else "stopped", file=sys.stdout if as_json else sys.stderr)
        return STOPPED
    except Exception as err:
        return _failed(err, debug, as_json)


def _print_once(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    """Print a warning if it was not printed before; a `warnings.showwarning`."""
    if (line := _line(message)) not in _printed:
        _printed.append(line)
        print(f"warning: {line}", file=sys.stderr)


def warned(sentence: str) -> bool:
    """Whether a warning of this command has said a sentence."""
    return any(_line(sentence).rstrip(".") in line for line in _printed)


def _failed(err: BaseException, debug: bool, as_json: bool) -> int:
    """Print an error, and return the exit code."""
    if debug:
        traceback.print_exception(err)
    expected = isinstance(err, (ValueError, TypeError, ImportError, OSError, EOFError, RuntimeError, KeyError))
    hint = "" if expected else f" ({type(err).__name__}; kickbert --debug shows where)"
    _print_error(f"{_line(err) or type(err).__name__}{hint}", as_json)
    return FAILED if expected else INSIDE


def _print_error(line: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": line}, ensure_ascii=False))
    else:
        print(f"error: {line}", file=sys.stderr)


def _line(message: object) -> str:
    """A message on one line."""
    return " ".join(str(message).split())


def _help(err: TyperException) -> str:
    """The command that prints the usage."""
    context = getattr(err, "ctx", None)
    return f"{context.command_path if context else 'kickbert'} --help"
