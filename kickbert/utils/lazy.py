"""Names of a package that are imported when they are first used, and old names that say where they went."""

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def attach(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make `__getattr__`, `__dir__` and `__all__` of a package whose modules are imported on first use (PEP 562).

    Args:
        package: its `__name__`.
        modules: the public names of each of its modules; a module may have none. Modules are attributes too.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def __getattr__(name: str) -> Any:  # noqa: N807 - what the package takes it for
        if name in homes:
            value = getattr(import_quietly(f"{package}.{homes[name]}"), name)
        elif name in modules:
            value = import_quietly(f"{package}.{name}")
        else:
            raise AttributeError(_unknown(package, name, [*homes, *modules]))
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__, lambda: sorted({*homes, *modules}), sorted(homes)


def import_quietly(module: str) -> ModuleType:
    """Import a module without the deprecation warnings of torch and fastai, on which no user can act."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return importlib.import_module(module)


def _unknown(package: str, name: str, known: list[str]) -> str:
    """The message of an AttributeError: the new place of an old name, the nearest name, or all names."""
    from kickbert.utils.messages import nearest
    from kickbert.utils.moved import NAMES

    message = f"module {package!r} has no attribute {name!r}"
    if f"{package}.{name}" in NAMES:
        return f"{message}; it is {NAMES[f'{package}.{name}']} now"
    return f"{message}{nearest(name, known) or f'; it has {sorted(known)}'}"


class MovedModules:
    """Import hook for modules that moved: importing one fails in one line, which names its new place.

    What files outside may name for ever (`ALIASES`: MLflow's registry keeps the name of the module that loads a model)
    is still found, under both names.
    """

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find the spec of an alias.

        Returns:
            None for what is none of kickbert's old modules.
        Raises:
            ModuleNotFoundError: a module that moved.
        """
        if not name.startswith("kickbert."):
            return None
        from kickbert.utils.moved import ALIASES, MODULES  # here, for `import kickbert` is to cost nothing

        if name in ALIASES:
            return ModuleSpec(name, self)
        if name in MODULES:
            raise ModuleNotFoundError(f"{name} moved to {MODULES[name]}", name=name)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make a module that looks its names up in the one that it stands for."""
        from kickbert.utils.moved import ALIASES

        module, real = ModuleType(spec.name), import_quietly(ALIASES[spec.name])
        module.__getattr__ = lambda name: getattr(real, name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""
