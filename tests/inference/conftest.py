"""A saved model that processes and actors open fast, and a table for it in Parquet files."""

import warnings

import pandas as pd
import pytest
from conftest import BAD, GOOD
from helpers.steps import fragile


@pytest.fixture(scope="session")
def exported(tiny, tmp_path_factory):
    """A predictor by ONNX Runtime, with a cleaning step of its own."""
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    import kickbert

    home = tmp_path_factory.mktemp("exported")
    df = pd.DataFrame({"text": [f"{t} no {i}" for i in range(12) for t in GOOD + BAD]})
    df["label"] = (["good"] * 5 + ["bad"] * 5) * 12
    learn = kickbert.learner_from_df(df, model=str(tiny), precision="fp32", path=home, cleaning=[fragile])
    learn.fit_one_cycle(1, 4e-3)
    folder = learn.save_artifact(home / "k")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kickbert.export(folder, df, ("onnx",), functions=[fragile])
    return kickbert.load(folder, backend="onnx", functions=[fragile])


@pytest.fixture
def table(tmp_path):
    """A folder of two Parquet files, of 70 and 30 rows; rows 3 and 4 of the first have no text."""
    df = pd.DataFrame({"id": range(100), "text": [f"{(GOOD + BAD)[i % 10]} no {i}" for i in range(100)]})
    df.loc[[3, 4], "text"] = [None, " "]
    folder = tmp_path / "in"
    (folder / "year=2024").mkdir(parents=True)
    df[:70].to_parquet(folder / "a.parquet", index=False, row_group_size=25)
    df[70:].to_parquet(folder / "year=2024" / "b.parquet", index=False)
    return folder
