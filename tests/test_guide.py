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


def test_links_names_and_alt_texts_of_the_guide():
    assert len(check.pages()) > 30
    assert check.problems() == []


def test_problems_are_found(tmp_path):
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
        "picture not found: dark.png",
        "picture without alt text: other.md",
        "link target not found: gone.md",
        "heading not found: other.md#nowhere",
        "picture without alt text: other.md",
        "cell with a plot but no alt text: figure = kickbert.evaluation.plot_confusion(predictions, rate=True)",
    ]
    assert list(check.unknown_names(text)) == [
        "kickbert.learner_form_df does not exist",
        "learn.fit_gradually does not exist",
    ]
    assert list(check.unknown_arguments(text)) == [
        "kickbert.evaluation.plot_confusion has no argument rate=",
        "kickbert.split has no argument valud=",
    ]


def test_an_undocumented_name_is_found(monkeypatch):
    monkeypatch.setattr(check, "public_names", lambda: {"": ["learner_of_df"], "text": ["Cleaner", "Scrubber"]})
    assert list(check.unexplained()) == [
        "kickbert.learner_of_df is not in docs/reference",
        "kickbert.learner_of_df is in no tutorial or how-to",
        "kickbert.text.Scrubber is not in docs/reference",
    ]


@pytest.mark.guide
@pytest.mark.timeout(1800)
def test_the_guide_builds_and_every_page_runs(tmp_path, minilm):
    pytest.importorskip("myst_nb", reason="kickbert[docs] is not installed")
    docs = shutil.copytree(REPO / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    for name in ("data", "benchmarks", "examples", "CHANGELOG.md"):
        (tmp_path / name).symlink_to(REPO / name)
    options = ["-b", "html", "-W", "--keep-going", "-j", "7"]
    command = [sys.executable, "-m", "sphinx", *options, docs, tmp_path / "html"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-20_000:]
    assert "lamp" in (tmp_path / "html" / "tutorials" / "campaigns.html").read_text(encoding="utf-8")
