"""A saved model that loads fast, and a table in Parquet files for it."""

import pandas as pd
import pytest
from conftest import BAD, GOOD
from helpers.steps import fragile


@pytest.fixture(scope="session")
def saved(served):
    """Folder of a saved model with one text column; read only."""
    return served / "one" / "v1"


@pytest.fixture(scope="session")
def predictor(tiny, tmp_path_factory):
    """A predictor with a cleaning step that raises errors for some texts."""
    import kickbert

    home = tmp_path_factory.mktemp("predictor")
    df = pd.DataFrame({"text": [f"{t} no {i}" for i in range(4) for t in GOOD + BAD]})
    df["label"] = (["good"] * 5 + ["bad"] * 5) * 4
    learn = kickbert.learner_from_df(df, model=str(tiny), precision="fp32", path=home, cleaning=[fragile])
    learn.fit_one_cycle(1, 4e-3)
    return kickbert.load(learn.save_artifact(home / "k"), backend="torch", functions=[fragile])


@pytest.fixture(scope="session")
def graph(saved, tmp_path_factory):
    """The saved model in ONNX (fp32), as a file and as a graph; exporting takes seconds."""
    onnx = pytest.importorskip("onnx", reason="the extra kickbert[export] is not installed")
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    from kickbert.inference.exports.onnx_graph import prepare, write_onnx
    from kickbert.models.artifact.loading import load_network
    from kickbert.models.artifact.reading import read_artifact

    network = load_network(read_artifact(saved))
    prepare(network)
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_onnx(network, False, file)
    model_proto = onnx.load(file)
    del model_proto.graph.value_info[:]
    return file, model_proto


@pytest.fixture
def table(tmp_path):
    """A folder with two Parquet files of 70 and 30 rows; rows 3 and 4 of the first have no text."""
    df = pd.DataFrame({"id": range(100), "text": [f"{(GOOD + BAD)[i % 10]} no {i}" for i in range(100)]})
    df.loc[[3, 4], "text"] = [None, " "]
    folder = tmp_path / "in"
    (folder / "year=2024").mkdir(parents=True)
    df[:70].to_parquet(folder / "a.parquet", index=False, row_group_size=25)
    df[70:].to_parquet(folder / "year=2024" / "b.parquet", index=False)
    return folder
