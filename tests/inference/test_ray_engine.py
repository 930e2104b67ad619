"""Folders predicted by Ray: the same files as in one process; a worker that dies is restarted."""

import pandas as pd
import pytest
from helpers.steps import die_once

from kickbert.inference import predict_folder, ray_engine

pytestmark = pytest.mark.system
pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
pytest.importorskip("ray", reason="the extra kickbert[ray] is not installed")


@pytest.fixture(scope="module")
def cluster():
    """Ray on this machine, started once for the file."""
    with ray_engine._cluster() as cpus:
        yield cpus


def test_the_same_predictions_as_in_this_process(cluster, predictor, table, tmp_path):
    pd.DataFrame({"id": [100, 101], "text": ["brittle", "a film"]}).to_parquet(table / "c.parquet", index=False)
    done = predict_folder(predictor, table, tmp_path / "ray", engine="ray", workers=2)
    alone = predict_folder(predictor, table, tmp_path / "alone")
    assert done.first_failed == alone.first_failed == ["c.parquet row 0: ValueError: it broke"]
    pd.testing.assert_frame_equal(pd.read_parquet(done.out), pd.read_parquet(alone.out))
    assert predict_folder(predictor, table, tmp_path / "ray").resumed == 3  # in this process, too


def test_a_worker_that_dies_is_restarted(cluster, predictor, tmp_path):
    threads = list(ray_engine.run_on_ray(die_once, predictor, [str(tmp_path / "killed")], 1))
    assert threads == [str(cluster)]


def test_errors_name_the_file(cluster, predictor, table, tmp_path):
    good = (table / "a.parquet").read_bytes()
    (table / "a.parquet").write_bytes(good[:100] + bytes(200) + good[300:])
    with pytest.raises(RuntimeError, match=r"^a\.parquet could not be predicted"):
        predict_folder(predictor, table, tmp_path / "out", engine="ray")
