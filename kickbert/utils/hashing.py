"""Hashes of values and files, which identify caches, folds, checkpoints and artifacts.

`fingerprint` is the same for equal values in every process. Code of an installed library is identified by its name and
the library's version. Your own functions and classes cannot be compared with those of another process, so they need a
version name.
"""

import dataclasses
import functools
import hashlib
import pickle
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from torch import Tensor


def feed(state: Any, tensors: "Iterable[Tensor]") -> None:
    """Add types, shapes and contents of tensors to a hash of hashlib."""
    for tensor in tensors:
        state.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        state.update(tensor.detach().cpu().contiguous().numpy())


def digest(*parts: "str | Iterable[Tensor]") -> str:
    """Hash texts and the contents of tensors, 32 hex digits."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            state.update(part.encode())
        else:
            feed(state, part)
    return state.hexdigest()


def file_digest(file: Path) -> str:
    """Compute the sha256 of a file, 64 hex digits."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Unidentifiable(TypeError):
    """A value that another process cannot recognize."""


def fingerprint(*values: Any, name: str | None = None) -> str:
    """Hash values, 32 hex digits, the same in every process.

    Args:
        values: numbers, strings, containers, arrays, tensors, DataFrames, and objects that `pickle` can serialize.
        name: version of your own functions and classes among the values; change it whenever you change them.

    Raises:
        Unidentifiable: without a name, your own function or class, or a value such as an open file.

    >>> fingerprint({"lr": 1e-3}) == fingerprint({"lr": 0.001}), fingerprint([1]) == fingerprint((1,))
    (True, False)
    """
    hasher = _Hasher(name)
    try:
        hasher.dump(values)
    except Unidentifiable:
        raise
    except Exception as err:  # whatever the object's own pickling may raise
        if name is None:
            raise Unidentifiable(f"a value cannot be compared with that of another process ({err})") from err
        return fingerprint(name, "with values that cannot be pickled")
    return hasher.state.hexdigest()


_FIRST: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def first_fingerprint(value: Any, name: str | None = None) -> str:
    """Return the fingerprint that an object had at the first call: its state changes while it is used."""
    return _FIRST.get(value) or _FIRST.setdefault(value, fingerprint(value, name=name))


class _Hasher(pickle.Pickler):
    """Pickles into a hash. Objects that are equal but laid out differently are replaced by a description."""

    def __init__(self, name: str | None):
        self.state, self.name = hashlib.blake2b(digest_size=16), name
        super().__init__(types.SimpleNamespace(write=self.state.update), protocol=4)
        self.fast = True  # without a memo: equal values hash alike whether or not they are one object

    def persistent_id(self, value: Any) -> Any:
        """Describe what pickle would write differently in another process; None for everything else."""
        np, torch, pd = (sys.modules.get(module) for module in ("numpy", "torch", "pandas"))
        if isinstance(value, set | frozenset):
            return [type(value).__name__, sorted(fingerprint(item, name=self.name) for item in value)]
        if np and type(value) is np.ndarray:
            content = value.ravel().tolist() if value.dtype.hasobject else hashlib.blake2b(value.tobytes()).digest()
            return ["array", str(value.dtype), value.shape, content]
        if torch and isinstance(value, torch.Tensor):
            plain = value.detach().as_subclass(torch.Tensor).cpu().contiguous()
            # reshape(-1) alone fails for an empty tensor
            content = plain.reshape(-1, 1).view(torch.uint8).reshape(-1).numpy()
            return ["tensor", type(value), str(value.dtype), tuple(value.shape), content]
        if pd and isinstance(value, pd.DataFrame):
            return ["frame", value.columns, value.index, [value.iloc[:, i] for i in range(value.shape[1])]]
        if np and pd and isinstance(value, pd.Series | pd.Index):
            levels = value.dtype.categories if isinstance(value.dtype, pd.CategoricalDtype) else None
            cells = value.to_numpy() if isinstance(value.dtype, np.dtype) else value.to_numpy(dtype=object)
            index = value.index if isinstance(value, pd.Series) else None
            return [type(value).__name__, str(value.dtype), value.name, levels, cells, index]
        if isinstance(value, type | types.FunctionType) or _is_builtin(value):
            return self._code(value)
        return None

    def reducer_override(self, value: Any) -> Any:
        """Reduce a dataclass to its fields, without values computed from them."""
        if not dataclasses.is_dataclass(value) or isinstance(value, type):
            return NotImplemented
        return _dataclass, (type(value), [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)])

    def _code(self, value: Any) -> str:
        module, qualified_name = value.__module__ or "builtins", value.__qualname__
        if _installed(module) and "<" not in qualified_name:  # a lambda or closure has no name of its own
            return f"{module}.{qualified_name} {_version(module)}"
        if self.name is None:
            kind = "class" if isinstance(value, type) else "function"
            raise Unidentifiable(f"the {kind} {value.__name__!r} is not from an installed library")
        return f"named {self.name}"


def _dataclass() -> None:
    """Mark a dataclass in a hash."""


def _is_builtin(value: Any) -> bool:
    """Tell whether a value is a function of C, and not a method bound to an object."""
    return isinstance(value, types.BuiltinFunctionType) and isinstance(value.__self__, types.ModuleType | None)


@functools.cache
def _installed(module: str) -> bool:
    """Tell whether a module belongs to Python, an installed library, kickbert, or a hub model at a fixed commit."""
    package = module.partition(".")[0]
    if package in (__name__.partition(".")[0], "transformers_modules", *sys.stdlib_module_names):
        return package != "__main__"
    file = getattr(sys.modules.get(module), "__file__", None) or getattr(sys.modules.get(package), "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


def _version(module: str) -> str:
    """The version of a module's library."""
    package = module.partition(".")[0]
    return sys.version[:4] if package in sys.stdlib_module_names else str(vars(sys.modules[package]).get("__version__"))
