"""The house rules that a machine can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPO

WINGS = [folder for folder in sorted((REPO / "kickbert").iterdir()) if (folder / "__init__.py").exists()]
MODULES = [file for wing in WINGS for file in sorted(wing.glob("*.py")) if file.stem != "__init__"]
SCRIPTS = [*(REPO / "benchmarks").rglob("*.py"), *(REPO / "docs").glob("*.py"), *(REPO / "examples").glob("*.py")]


def test_modules_import_only_downwards():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_house_is_small_enough_to_find_ones_way():
    shown = [p.name for p in (REPO / "kickbert").iterdir() if p.name != "__pycache__"]
    assert len(shown) <= 15, sorted(shown)
    assert len(WINGS) >= 12
    for wing in WINGS:
        modules = [file for file in MODULES if file.parent == wing]
        assert 1 <= len(modules) <= 12, wing.name


def test_a_wings_init_is_a_docstring_and_lazy_names():
    for wing in WINGS:
        body = ast.parse((wing / "__init__.py").read_text(encoding="utf-8")).body
        assert [type(node) for node in body] == [ast.Expr, ast.ImportFrom, ast.Assign], wing.name
        listed = ast.literal_eval(body[2].value.args[1])
        assert sorted(listed) == sorted(file.stem for file in wing.glob("[!_]*.py")), wing.name


def test_a_public_name_never_bears_its_modules_name():
    for wing in WINGS:
        listed = ast.literal_eval(ast.parse((wing / "__init__.py").read_text(encoding="utf-8")).body[2].value.args[1])
        names = [name for names in listed.values() for name in names]
        assert len(names) == len(set(names)) and not set(names) & set(listed), wing.name


def test_each_module_has_its_tests():
    for module in MODULES:
        assert list((REPO / "tests" / module.parent.name).glob(f"test_{module.stem}*.py")), module


def too_long(file: Path) -> list[str]:
    """What of a file is too long to be read at a glance."""
    text = file.read_text(encoding="utf-8")
    found = [file.name] if text.count("\n") >= 300 else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):  # its signature has a line for each argument
            first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
            if node.end_lineno - first.lineno >= 40:
                found.append(f"{file.name}: {node.name}")
    return found


def test_files_and_functions_are_short():
    assert len(MODULES) > 80 and len(SCRIPTS) > 20
    assert [line for file in [*MODULES, *SCRIPTS] for line in too_long(file)] == []


def test_what_is_too_long_is_found(tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text("def f():\n" + "    x = 1\n" * 41 + "\n" * 260)
    assert too_long(planted) == ["planted.py", "planted.py: f"]


def undocumented(file: Path) -> list[str]:
    """Public functions and classes of a module without a docstring."""
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [node for node in nodes if isinstance(node, kinds) and not node.name.startswith("_")]
    return [f"{file.name}: {node.name}" for node in public if not ast.get_docstring(node)]


def test_every_public_function_is_documented(tmp_path):
    assert [line for file in MODULES for line in undocumented(file)] == []
    planted = tmp_path / "planted.py"
    planted.write_text("def f():\n    return 1\n")
    assert undocumented(planted) == ["planted.py: f"]


def missing_of(readme: str, wings: list[str]) -> list[str]:
    """Wings that the README's table does not lead to."""
    return [name for name in wings if not re.search(rf"^\| \[?`{name}/?`", readme, re.M)]


def test_the_readme_has_its_two_commands_and_leads_to_every_wing():
    text = (REPO / "README.md").read_text(encoding="utf-8")
    blocks = {
        mark: re.search(rf"<!-- {mark} -->\s*```\w*\n(.*?)```", text, re.S).group(1).strip()
        for mark in ("main job", "tests")
    }
    assert blocks == {
        "main job": 'pip install -e ".[minilm]" && python examples/kickstarter.py',
        "tests": 'pip install -e ".[test]" && pytest',
    }
    assert missing_of(text, [wing.name for wing in WINGS]) == []
    assert missing_of(text, ["cellar"]) == ["cellar"]
    for path in re.findall(r"`kickbert/(\w+/\w+\.py)`", text):
        assert (REPO / "kickbert" / path).exists(), path


@pytest.mark.parametrize("name", ["kickstarter", "ecommerce", "tweets", "tickets", "letters"])
def test_the_samples_are_what_their_scripts_make(tmp_path, name):
    out = tmp_path / f"{name}.csv"
    subprocess.run([sys.executable, REPO / "data" / f"make_{name}.py", "--out", out], check=True, capture_output=True)
    assert out.read_bytes() == (REPO / "data" / f"{name}_sample.csv").read_bytes()


def test_the_picture_of_the_house_is_what_the_imports_say(tmp_path):
    drawn = tmp_path / "house.svg"
    subprocess.run([sys.executable, REPO / "docs" / "house.py", "--out", drawn], check=True, cwd=REPO)
    assert drawn.read_text(encoding="utf-8") == (REPO / "docs" / "house.svg").read_text(encoding="utf-8")
