"""Hashes: by them a cache, a fold, a checkpoint and an artifact know what they are of.

`fingerprint` is the same for equal values in every process. It takes a value apart as `pickle` would, into class and
state, but code by more than its name: a function of one's own is its bytecode and all that this reads (defaults,
closure, global names, other functions, modules of one's own), a class of one's own its members. Code of an installed
library is its name and the library's version. What a function reads from files or the network is not seen.
"""

import builtins
import copyreg
import dis
import functools
import hashlib
import importlib.util
import sys
import types
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from torch import Tensor


def feed(state: Any, tensors: "Iterable[Tensor]") -> None:
    """Add types, shapes and contents of tensors to a hash of hashlib."""
    for tensor in tensors:
        state.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        state.update(tensor.detach().cpu().contiguous().numpy())


def digest(*parts: "str | Iterable[Tensor]") -> str:
    """A hash of texts and of the contents of tensors, 32 hex digits."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            state.update(part.encode())
        else:
            feed(state, part)
    return state.hexdigest()


def file_digest(file: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Unidentifiable(TypeError):
    """A value that may differ in another process without showing it."""


def fingerprint(*values: Any) -> str:
    """A hash of values, 32 hex digits, the same in every process.

    Args:
        values: numbers, strings, containers, arrays, tensors, DataFrames, functions, classes, and whatever `pickle`
            can take apart.
    Raises:
        Unidentifiable: something among them cannot be taken apart, such as an open file.

    >>> fingerprint({"lr": 1e-3}) == fingerprint({"lr": 0.001}), fingerprint(lambda: 1) == fingerprint(lambda: 2)
    (True, False)
    """
    description = _Description()
    try:
        for value in values:
            description.add(value)
    except RecursionError as err:
        raise Unidentifiable(f"a {type(values[0]).__name__} is nested too deeply to be identified") from err
    return description.state.hexdigest()


_FIRST: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def first_fingerprint(value: Any) -> str:
    """The fingerprint that an object had when it was first asked for, of one that keeps a running state."""
    return _FIRST.get(value) or _FIRST.setdefault(value, fingerprint(value))


# What some types are made of; of all others `pickle` knows it.
PARTS = {
    types.FunctionType: ("__name__", "__code__", "__defaults__", "__kwdefaults__", "__dict__"),
    types.CodeType: (
        "co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags", "co_argcount",
        "co_posonlyargcount", "co_kwonlyargcount", "co_exceptiontable",
    ),
    types.MethodType: ("__func__", "__self__"),
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    functools.cached_property: ("func",),
}  # fmt: skip
# Members of a class, and copies of them in an object, that say nothing of what it does.
BOOKKEEPING = {
    "__abstractmethods__", "__annotations__", "__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__",
    "__firstlineno__", "__module__", "__orig_bases__", "__parameters__", "__static_attributes__", "__weakref__",
    "_abc_impl",
}  # fmt: skip


class _Description:
    """A description that is hashed while it is written, each piece behind its length, so that none reads as two."""

    def __init__(self):
        self.state = hashlib.blake2b(digest_size=16)
        self.seen: dict[int, tuple[int, Any]] = {}  # with the object, whose id would else be given to another
        self.trail: list[str] = []  # names of what is being described, outermost first

    def write(self, *pieces: str | bytes) -> None:
        for piece in pieces:
            data = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
            self.state.update(len(data).to_bytes(8, "little"))
            self.state.update(data)

    def add(self, value: Any) -> None:
        kind = type(value)
        if kind in (type(None), bool, int, float, complex, type(...)):
            self.write(kind.__name__, hex(value) if kind is int else repr(value))  # repr refuses thousands of digits
        elif kind in (str, bytes):
            self.write(kind.__name__, value)
        elif kind in (tuple, set, frozenset):  # the order of a set is not the same in every process
            self.series(kind, value if kind is tuple else sorted(map(fingerprint, value)))
        elif id(value) in self.seen:
            self.write("again", str(self.seen[id(value)][0]))
        else:
            self.seen[id(value)] = (len(self.seen), value)
            self.describe(kind, value)

    def series(self, kind: type, values: Iterable) -> None:
        values = list(values)
        self.write(kind.__name__, str(len(values)))
        for value in values:
            self.add(value)

    def named(self, name: str, value: Any) -> None:
        self.write(name)
        self.trail.append(name)
        self.add(value)
        self.trail.pop()

    def refuse(self, value: Any, reason: Any) -> NoReturn:
        where = "".join(f" in {name!r}" for name in reversed(self.trail))
        raise Unidentifiable(f"the {type(value).__name__}{where} may differ in another process ({reason})")

    def describe(self, kind: type, value: Any) -> None:
        """A value that was not met before, and that is neither an atom nor a tuple or set."""
        if kind is list:
            self.series(kind, value)
        elif kind in (dict, types.MappingProxyType):
            self.series(dict, value.items())
        elif self.data(value):
            return
        elif (name := _library_name(value)) is not None:
            self.write("library", name, _version(name))
        elif kind in PARTS:
            self.series(kind, [getattr(value, part) for part in PARTS[kind]])
            if kind is types.FunctionType:
                self.reads(value)
        elif kind is types.CellType:
            self.add(tuple(_content(value)))
        else:
            (self.members if isinstance(value, type) else self.pickled)(value)

    def data(self, value: Any) -> bool:
        """An array, a tensor or what pandas holds, whatever its layout in memory; False for another value."""
        np, torch, pd = (sys.modules.get(name) for name in ("numpy", "torch", "pandas"))
        if np and type(value) is np.ndarray:
            self.write("array", str(value.dtype), str(value.shape))
            self.add(value.ravel().tolist() if value.dtype.hasobject else value.tobytes())
        elif torch and isinstance(value, torch.Tensor):
            self.add((type(value), str(value.dtype), tuple(value.shape)))
            plain = value.detach().as_subclass(torch.Tensor).cpu().contiguous()
            self.add(plain.reshape(-1, 1).view(torch.uint8).reshape(-1).numpy())  # -1 alone fails where it is empty
        elif pd and isinstance(value, pd.DataFrame):
            self.series(pd.DataFrame, [value.columns, value.index, *(value.iloc[:, i] for i in range(value.shape[1]))])
        elif pd and isinstance(value, (pd.Series, pd.Index)):
            levels = value.dtype.categories if isinstance(value.dtype, pd.CategoricalDtype) else None
            cells = value.to_numpy() if isinstance(value.dtype, np.dtype) else value.to_numpy(dtype=object)
            index = value.index if isinstance(value, pd.Series) else None
            self.series(type(value), [str(value.dtype), value.name, levels, cells, index])
        else:
            return False
        return True

    def reads(self, function: types.FunctionType) -> None:
        """What a function reads that is none of its arguments."""
        self.trail.append(function.__name__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self.named(name, cell)
        for name, *attributes in sorted(_global_names(function.__code__)):
            if name == IMPORT and not _installed(attributes[0]):
                self.refuse(function, f"it imports {attributes[0]!r} when it runs; import it at the top of its file")
            value = function.__globals__.get(name, vars(builtins).get(name))
            while attributes and isinstance(value, types.ModuleType) and not _installed(value.__name__):
                name, value = f"{name}.{attributes[0]}", getattr(value, attributes.pop(0), None)
            self.named(name, value)
        self.trail.pop()

    def members(self, cls: type) -> None:
        """A class of one's own."""
        self.add((cls.__name__, cls.__bases__, type(cls)))
        members = {name: member for name, member in vars(cls).items() if name not in BOOKKEEPING}
        if issubclass(cls, Enum):
            self.add([(member.name, member.value) for member in cls.__members__.values()])
            members = {name: member for name, member in members.items() if type(member) in PARTS}
        self.trail.append(cls.__name__)
        for name, member in sorted(members.items()):
            if not isinstance(member, (types.MemberDescriptorType, types.GetSetDescriptorType)):
                self.named(name, member)
        self.trail.pop()

    def pickled(self, value: Any) -> None:
        """An object by what `pickle` would make it from, without what it has computed from its own state."""
        if isinstance(value, types.ModuleType):
            self.refuse(value, "of a module only the attributes that a function reads by name can be followed")
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            made = reduce(value) if reduce else value.__reduce_ex__(4)
        except Exception as err:  # whatever a class of one's own may raise
            self.refuse(value, err)
        if not isinstance(made, str):
            members = [member for cls in type(value).__mro__ for member in vars(cls).items()]
            omitted = BOOKKEEPING | {name for name, member in members if isinstance(member, functools.cached_property)}
            self.trail.append(type(value).__name__)
            for part in made:
                part = {k: v for k, v in part.items() if k not in omitted} if isinstance(part, dict) else part
                self.add(list(part) if isinstance(part, Iterator) else part)
            self.trail.pop()
        elif hasattr(value, "__wrapped__"):  # functools.cache
            self.add((type(value), value.__wrapped__))
        elif _library_name(type(value)) and _installed(getattr(value, "__module__", None) or "builtins"):
            self.add((type(value), made))
        else:
            self.refuse(value, f"{made!r} is a name, which says nothing of what it stands for")


def _content(cell: types.CellType) -> list:
    """What a closure's cell holds, nothing if its name is not bound yet."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


@functools.cache
def _installed(module: str) -> bool:
    """Whether a module belongs to Python, to an installed library or to kickbert, and is not of one's own."""
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names or package == __name__.partition(".")[0]:
        return package != "__main__"
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # __main__ has none
        return False
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any(part in ("site-packages", "dist-packages") for place in places for part in Path(place).parts)


def _version(module: str) -> str:
    """The version of a module's library."""
    package = module.partition(".")[0]
    return sys.version[:4] if package in sys.stdlib_module_names else str(vars(sys.modules[package]).get("__version__"))


def _library_name(value: Any) -> str | None:
    """The name by which a module, function or class of a library is found; None for any other value."""
    if isinstance(value, types.ModuleType):
        return value.__name__ if _installed(value.__name__) else None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or not _installed(module):
        return None
    place = sys.modules.get(module)
    for part in name.split("."):
        place = getattr(place, part, None)
    # Some classes of C are not found where they say they are.
    return f"{module}.{name}" if place is value or (isinstance(value, type) and "<locals>" not in name) else None


IMPORT = "import"  # in place of a global's name, which it cannot be


def _global_names(code: types.CodeType) -> set[tuple[str, ...]]:
    """The global names that a function and those within it read, each with the attributes that are read of it."""
    names, steps = set(), list(dis.get_instructions(code))
    for i, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            names.add((IMPORT, step.argval))
        elif step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            end = next(j for j in range(i + 1, len(steps)) if steps[j].opname not in ("LOAD_ATTR", "LOAD_METHOD"))
            names.add((step.argval, *(read.argval for read in steps[i + 1 : end])))
    return names.union(*(_global_names(const) for const in code.co_consts if isinstance(const, types.CodeType)))
