"""A folder that an earlier version wrote is read, and predicts what it did."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import REPO

import kickbert

FOLDER = REPO / "tests" / "fixtures" / "artifact-0.1"
KEPT = json.loads((REPO / "tests" / "fixtures" / "artifact-0.1.json").read_text(encoding="utf-8"))
ROWS, PREDICTED = pd.DataFrame(KEPT["rows"]), pd.DataFrame(KEPT["predicted"])


def same(predicted: pd.DataFrame) -> None:
    """Check labels and numbers against those on record."""
    assert list(predicted.columns) == list(PREDICTED.columns)
    assert predicted["label"].tolist() == PREDICTED["label"].tolist()
    numbers = PREDICTED.columns.drop("label")
    np.testing.assert_allclose(predicted[numbers].astype(float), PREDICTED[numbers], rtol=1e-6, atol=1e-5)


def test_it_is_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 200_000


def test_torch_predicts_the_same():
    same(kickbert.load(FOLDER, backend="torch").predict_df(ROWS))


def test_so_does_what_is_exported_from_it_now(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    folder = shutil.copytree(FOLDER, tmp_path / "v1")
    kickbert.export(folder, ROWS, ["onnx"])
    same(kickbert.load(folder, backend="onnx").predict_df(ROWS))


def test_a_learner_goes_on_from_it(tmp_path):
    more = pd.DataFrame({"name": ROWS["name"].tolist() * 4, "blurb": "it glows", "pledged": range(20)})
    learn = kickbert.GradualLearner.from_artifact(FOLDER, more, precision="fp32", path=tmp_path)
    same(learn.predict_df(ROWS))
