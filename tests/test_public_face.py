"""What somebody sees after `import kickbert`: names by wing, lazily, and old names that say where they went."""

import pydoc
import subprocess
import sys

import pytest
from conftest import REPO

import kickbert
from kickbert.utils.lazy import ALIASES, MODULES, NAMES

WINGS = [name for name in dir(kickbert) if name not in kickbert.__all__]


def run(code: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_kickbert_is_light():
    heavy = "('torch', 'fastai', 'transformers', 'pandas', 'numpy')"
    assert run(f"import sys, kickbert; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_about_twenty_names_at_the_top_all_documented():
    assert 15 <= len(kickbert.__all__) <= 25
    for name in kickbert.__all__:
        assert getattr(kickbert, name).__doc__, name


def test_every_name_of_every_wing_is_there_after_import_kickbert_alone():
    assert len(WINGS) >= 12
    code = f"import kickbert\nfor wing in {WINGS!r}:\n    for name in dir(getattr(kickbert, wing)):\n"
    code += "        assert getattr(getattr(kickbert, wing), name).__doc__, (wing, name)\nprint('all')"
    assert run(code) == "all"


def test_help_lists_the_names_by_wing_in_one_line_each():
    text = pydoc.render_doc(kickbert, renderer=pydoc.plaintext)
    for name in kickbert.__all__:
        assert any(line.split()[:1] == [name] or line.split()[1:2] == [name] for line in text.splitlines()), name
    for wing in WINGS:
        assert wing in kickbert.__doc__, wing


def test_an_unknown_name_offers_the_nearest_or_lists_what_there_is():
    with pytest.raises(AttributeError, match="has no attribute 'learner_form_df'; did you mean 'learner_from_df'"):
        kickbert.learner_form_df  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'zzz'; it has .*'learner_from_df'"):
        kickbert.zzz  # noqa: B018


def test_an_old_module_fails_in_one_line_that_names_its_new_place():
    code = "try:\n    from kickbert.cleaner import Cleaner\nexcept ImportError as err:\n    print(err)"
    assert run(f"import kickbert\n{code}") == "kickbert.cleaner moved to kickbert.text.cleaning"
    for old, new in MODULES.items():
        with pytest.raises(ModuleNotFoundError, match=f"^{old} moved to {new}$"):
            __import__(old)


def test_where_old_modules_and_names_went_is_there():
    import importlib

    for new in {*MODULES.values(), *ALIASES.values()}:
        importlib.import_module(new)
    for old, new in NAMES.items():
        package, _, name = new.rpartition(".")
        value = importlib.import_module(package)
        assert hasattr(value, name), new
        with pytest.raises(AttributeError, match="it is " + new):
            getattr(kickbert, old.split(".")[1])


def test_what_mlflow_has_on_record_is_found_under_its_old_name():
    import kickbert.track

    from kickbert.experiments import tracking

    assert kickbert.track._load_pyfunc is tracking._load_pyfunc and tracking.__name__ == "kickbert.experiments.tracking"


@pytest.mark.parametrize("module", ["kickbert.inference.predictor", "kickbert.serving.app"])
def test_the_serving_side_loads_neither_torch_nor_fastai_nor_transformers(module):
    heavy = "('torch', 'fastai', 'transformers')"
    assert run(f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_an_exported_artifact_answers_without_torch(served, reviews, tmp_path):
    import shutil

    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    folder = shutil.copytree(served / "one", tmp_path / "one")
    kickbert.export(folder, reviews, force=True)
    code = f"import sys, kickbert; model = kickbert.load({str(folder)!r}); model.predict(['a film'])\n"
    code += "print([m for m in ('torch', 'fastai', 'transformers') if m in sys.modules])"
    assert run(code) == "[]"
