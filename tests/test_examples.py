"""Each example as a user runs it, on few rows and the tiny model; the notebook too."""

import re
import subprocess
import sys

import pytest
from conftest import REPO

EXAMPLES = sorted((REPO / "examples").glob("*.py"))
OWN = {"long_documents": ["--max-length", 48]}  # the tiny model ends at 64


def run(tmp_path, *command) -> str:
    done = subprocess.run([sys.executable, *map(str, command)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_examples_run_on_few_rows(example, tiny, tmp_path):
    told = run(tmp_path, example, "--rows", 150, "--model", tiny, *OWN.get(example.stem, []))
    assert "test rows" in told
    assert len(example.read_text().splitlines()) < 60


@pytest.mark.slow
def test_the_main_job_on_real_weights(minilm, tmp_path):
    told = run(tmp_path, REPO / "examples" / "kickstarter.py", "--rows", 400)
    assert re.search(r"1/2 head +epoch 1", told) and "2/2 last 4 layers" in told
    assert re.search(r"majority class +accuracy 0\.\d+  macro-F1 0\.\d+  quadratic kappa 0\.000", told)
    assert re.search(r"kickbert, minilm +accuracy 0\.\d+", told)
    assert (tmp_path / "ladder.png").read_bytes().startswith(b"\x89PNG")


def test_ones_own_csv(tiny, tmp_path):
    import pandas as pd

    rows = [(f"a {w} story number {i}", f"told by {i}", i * 10.0) for i in range(60) for w in ("warm", "cold")]
    pd.DataFrame(rows, columns=["title", "story", "amount"]).to_csv(tmp_path / "mine.csv", index=False)
    example = REPO / "examples" / "kickstarter.py"
    own = ["--csv", "mine.csv", "--text", "title", "--text", "story", "--target", "amount", "--bins", 3]
    assert "On 18 test rows" in run(tmp_path, example, *own, "--model", tiny, "--out", "own.png")
    assert (tmp_path / "own.png").exists()


def test_the_notebook_runs(tiny, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("KICKBERT_ROWS", "120")
    monkeypatch.setenv("KICKBERT_MODEL", tiny)
    notebook = nbformat.read(REPO / "examples" / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": REPO / "examples"}}).execute()
    shown = str([cell.get("outputs") for cell in notebook.cells])
    assert "last 2 layers" in shown and "<table" in shown and "image/png" in shown
