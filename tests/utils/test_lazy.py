"""A package imports its names when they are first used."""

import importlib
import sys

import pytest


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `lazily` with two modules; `heavy` has the public name `Thing`."""
    home = tmp_path / "lazily"
    home.mkdir()
    (home / "heavy.py").write_text("import warnings\nwarnings.warn('old', FutureWarning)\nThing = 7\n")
    (home / "light.py").write_text("other = 1\n")
    (home / "__init__.py").write_text(
        "from kickbert.utils.lazy import attach\n"
        "__getattr__, __dir__, __all__ = attach(__name__, {'heavy': ['Thing'], 'light': []})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("lazily")
    for name in [name for name in sys.modules if name.startswith("lazily")]:
        del sys.modules[name]


@pytest.mark.filterwarnings("error")
def test_a_name_is_imported_on_first_use_and_without_its_warnings(package):
    assert "lazily.heavy" not in sys.modules
    assert package.Thing == 7 and package.light.other == 1
    assert "Thing" in vars(package)  # kept, so that the next use costs nothing
    assert dir(package) == ["Thing", "heavy", "light"] and package.__all__ == ["Thing"]


def test_the_error_of_an_unknown_name_suggests_names(package):
    with pytest.raises(AttributeError, match=r"'lazily' has no attribute 'Thingy'\. Did you mean 'Thing'"):
        package.Thingy  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'zzz'; it has \['Thing', 'heavy', 'light'\]"):
        package.zzz  # noqa: B018
