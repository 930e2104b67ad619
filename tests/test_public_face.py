"""Public names after `import kickbert`: by package, imported lazily."""

import pydoc
import subprocess
import sys

import pytest
from conftest import REPO

import kickbert

PACKAGES = [name for name in dir(kickbert) if name not in kickbert.__all__]


def run(code: str) -> str:
    """Return the output of a new process."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.system
def test_import_kickbert_is_light():
    heavy = "('torch', 'fastai', 'transformers', 'pandas', 'numpy')"
    assert run(f"import sys, kickbert; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_about_twenty_names_at_the_top_all_documented():
    assert 15 <= len(kickbert.__all__) <= 25
    for name in kickbert.__all__:
        assert getattr(kickbert, name).__doc__, name


@pytest.mark.system
def test_every_public_name_is_available_after_import_kickbert():
    assert len(PACKAGES) >= 12
    code = f"import kickbert\nfor package in {PACKAGES!r}:\n    for name in dir(getattr(kickbert, package)):\n"
    code += "        assert getattr(getattr(kickbert, package), name).__doc__, (package, name)\nprint('all')"
    assert run(code) == "all"


def test_help_lists_the_names_by_package_in_one_line_each():
    text = pydoc.render_doc(kickbert, renderer=pydoc.plaintext)
    for name in kickbert.__all__:
        assert any(line.split()[:1] == [name] or line.split()[1:2] == [name] for line in text.splitlines()), name
    for package in PACKAGES:
        assert package in kickbert.__doc__, package


def test_an_unknown_name_offers_the_nearest_or_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"has no attribute 'learner_form_df'\. Did you mean 'learner_from_df'"):
        kickbert.learner_form_df  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'zzz'; it has .*'learner_from_df'"):
        kickbert.zzz  # noqa: B018


@pytest.mark.system
@pytest.mark.parametrize("module", ["kickbert.inference.predictor", "kickbert.serving.app"])
def test_the_serving_side_loads_neither_torch_nor_fastai_nor_transformers(module):
    heavy = "('torch', 'fastai', 'transformers')"
    assert run(f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])") == "[]"


@pytest.mark.system
def test_an_exported_artifact_answers_without_torch(served, reviews, tmp_path):
    import shutil

    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    folder = shutil.copytree(served / "one", tmp_path / "one")
    kickbert.export(folder, reviews, force=True)
    code = f"import sys, kickbert; model = kickbert.load({str(folder)!r}); model.predict(['a film'])\n"
    code += "print([m for m in ('torch', 'fastai', 'transformers') if m in sys.modules])"
    assert run(code) == "[]"
