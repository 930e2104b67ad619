"""Cleaning functions of your own on the command line."""

import json
import sys

import pytest

from kickbert.cli.functions import cleaning_steps, own_functions
from kickbert.serving.service import open_services
from kickbert.serving.settings import Settings
from kickbert.serving.telemetry import Telemetry

CODE = '''
from os.path import basename

def without_digits(text):
    """Remove digits."""
    return "".join(letter for letter in text if not letter.isdigit())

def _helper(text):
    return text
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A file with one cleaning function, and imports that end with the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "house_style.py"
    file.write_text(CODE, encoding="utf-8")
    yield file
    sys.modules.pop("house_style", None)


def test_functions_are_read_from_a_file_or_a_module(module, monkeypatch):
    (function,) = own_functions(str(module))
    assert function("a 1 b") == "a  b" and own_functions(None) == ()
    monkeypatch.chdir(module.parent)
    assert own_functions("house_style") == (function,)


def test_modules_that_do_not_fit_are_named(module, tmp_path):
    for name, message in (
        (str(tmp_path / "no.py"), "there is no such file"),
        ("no_such_module", "cannot be imported: ModuleNotFoundError"),
    ):
        with pytest.raises(ValueError, match=message):
            own_functions(name)
    (tmp_path / "json.py").write_text(CODE, encoding="utf-8")
    with pytest.raises(ValueError, match="another module named 'json'; rename the file"):
        own_functions(str(tmp_path / "json.py"))
    module.write_text("from os.path import basename\n1 / 0\n", encoding="utf-8")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        own_functions(str(module))
    module.write_text("from os.path import basename\n", encoding="utf-8")
    sys.modules.pop("house_style", None)
    with pytest.raises(ValueError, match="defines no function"):
        own_functions(str(module))


def test_steps_are_named_by_the_option():
    def shorter(text):
        return text[:3]

    assert cleaning_steps(None, ()) is None and cleaning_steps(["auto"], ()) == "auto"
    assert cleaning_steps(["remove_html", "shorter"], [shorter]) == ["remove_html", shorter]
    with pytest.raises(ValueError, match=r"--cleaning remove_htm is not one of .* Did you mean 'remove_html'"):
        cleaning_steps(["remove_htm"], ())
    with pytest.raises(ValueError, match="name the steps to use: --cleaning shorter"):
        cleaning_steps(["auto"], [shorter])


@pytest.mark.system
def test_every_command_reads_functions(kickbert, module, rows, tiny, tmp_path):
    model, own = tmp_path / "k", ("--functions", module)
    steps = ("--cleaning", "without_digits", "--cleaning", "remove_html")
    done = kickbert("train", rows, "--out", model, "--model", tiny, *own, *steps, "--export", "onnx")
    assert done.returncode == 0, done.stderr
    done = kickbert("predict", rows, tmp_path / "p.csv", "--model", model)
    assert done.returncode == 1 and "without_digits" in done.stderr and "--functions" in done.stderr
    for command in (
        ("predict", rows, tmp_path / "p.csv", "--model", model),
        ("evaluate", model, rows),
        ("report", model, rows, "--out", tmp_path / "r.html"),
        ("export", model, rows, "--format", "onnx"),
        ("bench", model, "--batch-size", 1, "--seconds", 0.05),
    ):
        done = kickbert(*command, *own)
        assert done.returncode == 0, done.stderr
    assert json.loads((model / "v1" / "kickbert.json").read_text())["cleaning"] == ["without_digits", "remove_html"]
    services = open_services(Settings(model, functions=own_functions(str(module))), Telemetry(lambda: 0))
    (service,) = services.values()
    assert service.models.read(["a 1 b"])[0] == ["a  b"]
