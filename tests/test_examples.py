"""Each example and the notebook run on few rows with the tiny model."""

import re
import shutil
import subprocess
import sys

import pytest
from conftest import REPO

EXAMPLES = sorted((REPO / "examples").glob("*.py"))
OPTIONS = {
    "long_documents": ["--max-length", 48],  # the tiny model has 64 positions and 2 layers
    "distill": ["--layers", 1],
    "few_labels": ["--rows", 5],  # per class
}
NEEDS = {"predict_dask": "dask", "predict_spark": "pyspark"}


def run(tmp_path, *command) -> str:
    done = subprocess.run([sys.executable, *map(str, command)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.system
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_examples_run_on_few_rows(example, tiny, tmp_path):
    if example.stem in NEEDS:
        package = NEEDS[example.stem]
        pytest.importorskip(package, reason=f"the package {package} is not installed")
        if package == "pyspark" and shutil.which("java") is None:
            pytest.skip("Spark needs Java, which is not installed")
    output = run(tmp_path, example, "--rows", 150, "--model", tiny, *OPTIONS.get(example.stem, []))
    assert "test rows" in output
    if example.stem in NEEDS:  # not exactly equal: the batches differ
        assert float(re.search(r"the same label as without \w+: (\S+);", output)[1]) == 1
        assert float(re.search(r"differs by at most (\S+)", output)[1]) < 1e-4


@pytest.mark.system
def test_the_main_example_on_real_weights(minilm, tmp_path):
    output = run(tmp_path, REPO / "examples" / "kickstarter.py", "--rows", 400)
    assert re.search(r"1/2 head +epoch 1", output) and "2/2 last 4 layers" in output
    assert re.search(r"majority +accuracy 0\.\d+  macro-F1 0\.\d+  quadratic kappa 0\.000", output)
    assert re.search(r"kickbert, minilm +accuracy 0\.\d+", output)
    assert (tmp_path / "ladder.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.system
def test_the_first_lines_of_the_readme_run(tiny, tmp_path, monkeypatch):
    import pandas as pd

    read_csv = pd.read_csv
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pd, "read_csv", lambda file: read_csv(REPO / file).head(200))
    code = re.search(r"```python\n(.*?)```", (REPO / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    names: dict = {}
    exec(code.replace('"minilm"', repr(str(tiny))), names)
    assert names["ladder"]["phase"].tolist() == ["head", "last 2 layers"]


@pytest.mark.system
def test_the_main_example_runs_on_another_csv(tiny, tmp_path):
    import pandas as pd

    rows = [(f"a {w} story number {i}", f"told by {i}", i * 10.0) for i in range(60) for w in ("warm", "cold")]
    pd.DataFrame(rows, columns=["title", "story", "amount"]).to_csv(tmp_path / "mine.csv", index=False)
    example = REPO / "examples" / "kickstarter.py"
    own = ["--csv", "mine.csv", "--text", "title", "--text", "story", "--target", "amount", "--bins", 3]
    assert "On 18 test rows" in run(tmp_path, example, *own, "--model", tiny, "--out", "own.png")
    assert (tmp_path / "own.png").exists()


@pytest.mark.system
def test_the_notebook_runs(tiny, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(REPO / "examples" / "quickstart.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("../data", str(REPO / "data")).replace("head(1500)", "head(120)")
        cell.source = cell.source.replace('model="minilm"', f"model={str(tiny)!r}")
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    shown = str([cell.get("outputs") for cell in notebook.cells])
    assert "last 2 layers" in shown and "<table" in shown and "image/png" in shown
