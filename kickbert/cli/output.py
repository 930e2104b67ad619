"""Output of the command line: tables for people, JSON for programs, a warning or an error in a line."""

import json
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from typer.exceptions import Abort, Exit, TyperException

from kickbert.utils.html_page import cell

# Arguments of the library that options name otherwise.
ALIASES = {"text_col": "text", "label_col": "target", "bin_format": "unit", "bs": "batch_size"}
COLUMNS = {"text_col": "text column ", "label_col": "target column "}  # where a command has no option for them
FAILED, USAGE, INSIDE, STOPPED = 1, 2, 70, 130  # exit codes: EX_SOFTWARE of sysexits.h, and 128 + SIGINT


def table(df: pd.DataFrame, title: str | None = None) -> RenderableType:
    """A DataFrame as a table of Rich, under its title; numbers stand on the right."""
    out = Table(header_style="bold", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for name in df.columns:
        # A name breaks at its spaces: many columns fit into a narrow terminal.
        out.add_column(
            str(name).replace("_", " "), justify="right" if pd.api.types.is_numeric_dtype(df[name]) else "left"
        )
    for row in df.itertuples(index=False, name=None):
        out.add_row(*map(cell, row))
    # Rich would break a table's own title where the table is narrow.
    return out if title is None else Group(Text(title, style="italic"), out)


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


def option_names(command: Any, typed: Sequence[str]) -> dict[str, str]:
    """The options of the subcommand that was typed, by the name of their argument."""
    subcommand = next((command.commands[word] for word in typed if word in command.commands), command)
    return {option.name: max(option.opts, key=len) for option in subcommand.params if option.opts[0].startswith("-")}


def run(command: Callable[..., Any], debug: bool, options: Mapping[str, str] | None = None) -> int:
    """Run a typer command, with each warning and error in a line of its own.

    Args:
        command: the application.
        debug: whether to print the traceback of an error.
        options: of `option_names`, for messages that speak of arguments.
    Returns:
        The exit code.
    """
    options = options or {}
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(
                f"warning: {as_typed(message, options)}", file=sys.stderr
            )
            return command(standalone_mode=False) or 0
    except Exit as done:
        return done.exit_code
    except TyperException as err:  # of what was typed
        print(f"error: {err.format_message().rstrip('.')}; see {_help(err)}", file=sys.stderr)
        return err.exit_code
    except (KeyboardInterrupt, Abort) as stop:
        if isinstance(stop.__cause__, EOFError):  # typer takes the end of a broken file for a person's Ctrl-D
            return _failed(stop.__cause__, debug, options)
        print("stopped", file=sys.stderr)
        return STOPPED
    except Exception as err:
        return _failed(err, debug, options)


def _failed(err: BaseException, debug: bool, options: Mapping[str, str]) -> int:
    """Print an error; its exit code."""
    if debug:
        traceback.print_exception(err)
    expected = isinstance(err, (ValueError, TypeError, ImportError, OSError, EOFError, RuntimeError, KeyError))
    hint = "" if expected else f" ({type(err).__name__}; kickbert --debug shows where)"
    print(f"error: {as_typed(err, options) or type(err).__name__}{hint}", file=sys.stderr)
    return FAILED if expected else INSIDE


def as_typed(message: object, options: Mapping[str, str]) -> str:
    """Put a message of the library on one line, in terms of files and options.

    Args:
        options: of `option_names`.

    >>> as_typed("label_col='lable' is not a column of df", {"target": "--target"})
    "--target 'lable' is not a column of the file"
    """

    def option(match: re.Match) -> str:
        name = ALIASES.get(match[1], match[1])
        return f"{options[name]} " if name in options else COLUMNS.get(match[1], match[0])

    text = re.sub(r"(?<![\w-])([a-z_]+)=(?=[^\s=,;)])", option, " ".join(str(message).split()))
    return re.sub(r"\bdf\b(?![\[.])", "the file", text)


def _help(err: TyperException) -> str:
    """The command that shows the usage."""
    context = getattr(err, "ctx", None)
    return f"{context.command_path if context else 'kickbert'} --help"
