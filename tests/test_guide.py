"""The guide in docs: links and names, and its build, which executes every page once."""

import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from conftest import REPO

spec = spec_from_file_location("make_check", REPO / "docs" / "make_check.py")
check = module_from_spec(spec)
spec.loader.exec_module(check)


def test_links_names_and_alternative_texts_of_the_guide():
    assert len(check.pages()) > 30
    assert check.problems() == []


def test_what_is_wrong_is_found(tmp_path):
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# A heading, of `two` words\n", encoding="utf-8")
    page.write_text(
        "# Page\n[gone](gone.md) [here](other.md#a-heading-of-two-words) [there](other.md#nowhere) ![](other.md)\n"
        '<picture><source srcset="dark.png"><img src="other.md"></picture>\n'
        "`kickbert.learner_form_df(df)` `learn.fit_gradually()` `kickbert.split(df, valud=0.1)` `kickbert.evaluate`\n"
        "```{code-cell} ipython3\nfigure = kickbert.evaluation.plot_confusion(predictions, rate=True)\n```\n",
        encoding="utf-8",
    )
    text = page.read_text(encoding="utf-8")
    assert list(check.broken_links(page, text)) == [
        "dark.png is shown and is not there",
        "the picture other.md has no alternative text",
        "gone.md is linked and is not there",
        "other.md#nowhere is linked, and other.md has no such heading",
        "the picture other.md has no alternative text",
        "a cell draws and has no alternative text: figure = kickbert.evaluation.plot_confusion(predictions, rate=True)",
    ]
    assert list(check.unknown_names(text)) == [
        "kickbert.learner_form_df is not there",
        "learn.fit_gradually is not there",
    ]
    assert list(check.unknown_arguments(text)) == [
        "kickbert.evaluation.plot_confusion takes no rate=",
        "kickbert.split takes no valud=",
    ]


def test_a_name_that_nothing_explains_is_found(monkeypatch):
    monkeypatch.setattr(check, "public_names", lambda: {"": ["learner_of_df"], "text": ["Cleaner", "Scrubber"]})
    assert list(check.unexplained()) == [
        "kickbert.learner_of_df is not in docs/reference",
        "kickbert.learner_of_df is in no tutorial and in no how-to",
        "kickbert.text.Scrubber is not in docs/reference",
    ]


@pytest.mark.guide
@pytest.mark.timeout(900)
def test_every_page_runs_and_the_guide_is_built(tmp_path, minilm):
    pytest.importorskip("myst_nb", reason="the extra kickbert[docs] is not installed")
    docs = shutil.copytree(REPO / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    for name in ("data", "benchmarks", "examples", "CHANGELOG.md"):
        (tmp_path / name).symlink_to(REPO / name)
    options = ["-b", "html", "-W", "--keep-going", "-j", "7"]
    command = [sys.executable, "-m", "sphinx", *options, docs, tmp_path / "html"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "lamp" in (tmp_path / "html" / "tutorials" / "campaigns.html").read_text(encoding="utf-8")
