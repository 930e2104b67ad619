"""Each example as a user runs it, on few rows and the tiny model; the notebook too."""

import re
import shutil
import subprocess
import sys

import pytest
from conftest import REPO

EXAMPLES = sorted((REPO / "examples").glob("*.py"))
OWN = {"long_documents": ["--max-length", 48], "distill": ["--layers", 1]}  # the tiny model has 64 tokens, 2 layers
NEEDS = {"predict_dask": "dask", "predict_spark": "pyspark"}


def run(tmp_path, *command) -> str:
    done = subprocess.run([sys.executable, *map(str, command)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "example", [pytest.param(e, id=e.stem, marks=pytest.mark.system if e.stem in NEEDS else ()) for e in EXAMPLES]
)
def test_examples_run_on_few_rows(example, tiny, tmp_path):
    if example.stem in NEEDS:
        package = NEEDS[example.stem]
        pytest.importorskip(package, reason=f"the package {package} is not installed")
        if package == "pyspark" and shutil.which("java") is None:
            pytest.skip("Spark needs Java, which is not installed")
    told = run(tmp_path, example, "--rows", 150, "--model", tiny, *OWN.get(example.stem, []))
    assert "test rows" in told
    if example.stem in NEEDS:  # not bit by bit: batches are others
        assert float(re.search(r"the same label as without \w+: (\S+);", told)[1]) == 1
        assert float(re.search(r"differs by (\S+) at most", told)[1]) < 1e-4
    assert len(example.read_text().splitlines()) < 60


@pytest.mark.system
def test_the_main_job_on_real_weights(minilm, tmp_path):
    told = run(tmp_path, REPO / "examples" / "kickstarter.py", "--rows", 400)
    assert re.search(r"1/2 head +epoch 1", told) and "2/2 last 4 layers" in told
    assert re.search(r"majority class +accuracy 0\.\d+  macro-F1 0\.\d+  quadratic kappa 0\.000", told)
    assert re.search(r"kickbert, minilm +accuracy 0\.\d+", told)
    assert (tmp_path / "ladder.png").read_bytes().startswith(b"\x89PNG")


def test_the_first_lines_of_the_readme_run(tiny, tmp_path, monkeypatch):
    import pandas as pd

    read_csv = pd.read_csv
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pd, "read_csv", lambda file: read_csv(REPO / file).head(200))
    code = re.search(r"```python\n(.*?)```", (REPO / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    names: dict = {}
    exec(code.replace('"minilm"', repr(str(tiny))), names)
    assert names["ladder"]["phase"].tolist() == ["head", "last 2 layers"]


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
