"""Names of a package that are imported when they are first used."""

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any


def attach(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make `__getattr__`, `__dir__` and `__all__` for a package that imports its modules on first use (PEP 562).

    Args:
        package: the package's `__name__`.
        modules: the public names of each module ("writers") or of a module in a subpackage ("tables.writers"). A
            module may have no public names. Modules and subpackages are attributes too.
    """
    homes = {name: module for module, names in modules.items() for name in names}
    children = {module.partition(".")[0] for module in modules}

    def __getattr__(name: str) -> Any:  # noqa: N807 - what the package takes it for
        if name in homes:
            value = getattr(import_quietly(f"{package}.{homes[name]}"), name)
        elif name in children:
            value = import_quietly(f"{package}.{name}")
        else:
            raise AttributeError(_unknown(package, name, [*homes, *children]))
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__, lambda: sorted({*homes, *children}), sorted(homes)


def import_quietly(module: str) -> ModuleType:
    """Import a module without the deprecation warnings of torch and fastai, which users cannot fix."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return importlib.import_module(module)


def _unknown(package: str, name: str, known: list[str]) -> str:
    """Write the message of an AttributeError, with the nearest name or all names."""
    from kickbert.utils.messages import nearest

    message = f"module {package!r} has no attribute {name!r}"
    return f"{message}{nearest(name, known) or f'; it has {sorted(known)}'}"
