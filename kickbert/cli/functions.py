"""The user's own cleaning functions, named on the command line by a module or a Python file."""

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kickbert.utils.messages import nearest

if TYPE_CHECKING:
    from kickbert.text.cleaning_steps import Step


def own_functions(module: str | None) -> "tuple[Step, ...]":
    """Import the cleaning functions that a module defines.

    Args:
        module: name of a module, also of one in the working folder, or path of a .py file; None for no functions.
    Returns:
        The functions whose names do not begin with an underscore. Other processes import them by the same name.
    Raises:
        ValueError: the module cannot be found or imported, another module has its name, or it defines no functions.
    """
    if module is None:
        return ()
    path = Path(module).expanduser()
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise ValueError(f"--functions {module}: there is no such file")
    name, folder = (path.stem, path.resolve().parent) if is_file else (module, Path.cwd())
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module(name)
    except Exception as err:  # whatever the user's code raises
        raise ValueError(f"--functions {module} cannot be imported: {type(err).__name__}: {err}") from err
    if is_file and Path(found.__file__ or "").resolve() != path.resolve():
        raise ValueError(f"--functions {module}: Python has another module named {name!r}; rename the file")
    functions = inspect.getmembers(found, inspect.isfunction)
    own = tuple(f for public, f in functions if f.__module__ == found.__name__ and not public.startswith("_"))
    if not own:
        raise ValueError(f"--functions {module} defines no function; define cleaning functions from text to text in it")
    return own


def cleaning_steps(names: Sequence[str] | None, functions: "Sequence[Step]") -> "str | list[str | Step] | None":
    """Return the argument `cleaning` of `learner_from_df` for the names of an option.

    Args:
        names: "auto" alone, or names of kickbert's cleaning steps and of `functions`; None for no cleaning.
        functions: the user's own functions.
    Raises:
        ValueError: a name is unknown, or functions were given and none is named.
    """
    from kickbert.text.cleaning_steps import STEPS

    own = {function.__name__: function for function in functions}
    if own and not own.keys() & set(names or ()):
        raise ValueError(f"--functions defines {', '.join(own)}; name the steps to use: --cleaning {next(iter(own))}")
    if names is None:
        return None
    if list(names) == ["auto"]:
        return "auto"
    for name in names:
        if name not in own and name not in STEPS:
            known = ["auto", *own, *STEPS]
            raise ValueError(f"--cleaning {name} is not one of {', '.join(known)}{nearest(name, known)}")
    return [own.get(name, name) for name in names]
