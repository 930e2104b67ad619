"""Engines: the same files from each, whatever dies on the way."""

import os
import signal
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
import psutil
import pytest

from kickbert.inference import engines
from kickbert.inference.distributed import _work, predict_dataset
from kickbert.inference.engines import choose_engine
from kickbert.inference.partitions import TRAILS, predict_partition, read_account
from kickbert.inference.table_folders import TableFolder

pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")


def prepared(model, folder, out, rows: int, piece: int = 8):
    """Work on a folder, and its partitions."""
    (out / TRAILS).mkdir(parents=True)
    table = TableFolder(folder)
    work = replace(_work(model, table, out, text_col=None, keep=None, min_confidence=None), piece=piece)
    return work, table.partitions(rows)


def written(work, parts) -> list[bytes]:
    return [(work.out / part.name).read_bytes() for part in parts]


@pytest.fixture(scope="module")
def cluster():
    """Ray on this machine, for all tests of this file: to start it takes longer than they do."""
    pytest.importorskip("ray", reason="the extra kickbert[ray] is not installed")
    with engines._cluster() as cpus:
        yield cpus


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.system)])
def engine(request):
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return request.param


def children(name: str) -> list[psutil.Process]:
    """Processes that this one has started, by a part of their command line."""
    return [p for p in psutil.Process().children(recursive=True) if name in " ".join(p.cmdline())]


WORKER = {"local": "kickbert.inference.engines", "ray": "ray::MapWorker"}


def test_a_worker_that_is_killed_loses_and_doubles_nothing(engine, exported, tmp_path):
    (tmp_path / "in").mkdir()
    df = pd.DataFrame({"id": range(100), "text": [f"a slow film {i}" for i in range(100)]})
    df.to_parquet(tmp_path / "in" / "a.parquet", index=False)
    work, parts = prepared(exported, tmp_path / "in", tmp_path / "out", rows=25, piece=25)
    killed = []
    with closing(choose_engine(engine)(work, parts, 2)) as outcomes:
        for outcome in outcomes:
            assert outcome.error is None
            if not killed:
                killed = [process.pid for process in children(WORKER[engine])][-1:]
                os.kill(killed[0], signal.SIGKILL)
    alone, parts = prepared(exported, tmp_path / "in", tmp_path / "alone", rows=25, piece=25)
    assert [predict_partition(alone, part).error for part in parts] == [None] * 4
    assert written(work, parts) == written(alone, parts)
    assert pd.concat(map(pd.read_parquet, (work.out / p.name for p in parts)))["id"].tolist() == list(range(100))


def test_a_row_in_which_processes_die_is_found_and_named(engine, exported, tmp_path):
    (tmp_path / "in").mkdir()
    df = pd.DataFrame({"text": ["a film", "a deadly film", "a story", "another film"]})
    df.to_parquet(tmp_path / "in" / "a.parquet", index=False)
    work, parts = prepared(exported, tmp_path / "in", tmp_path / "out", rows=4, piece=2)
    with closing(choose_engine(engine)(work, parts, 1)) as outcomes:
        assert [outcome.error for outcome in outcomes] == [None]
    assert read_account(work.out / parts[0].name).failed == [[1, "the process died"]]
    out = pd.read_parquet(work.out / parts[0].name)
    assert out["label"].isna().tolist() == [False, True, False, False]
    np.testing.assert_allclose(out["prob_good"][[0, 2]], exported.predict_proba(["a film", "a story"])[:, 1], atol=1e-6)


def test_one_engine_goes_on_with_what_another_began(cluster, exported, table, tmp_path):
    alone = pd.read_parquet(predict_dataset(exported, table, tmp_path / "out", partition=40).out)
    os.rename(tmp_path / "out", tmp_path / "out.unfinished")
    (tmp_path / "out.unfinished" / "a-000000000040.parquet").unlink()
    done = predict_dataset(exported, table, tmp_path / "out", partition=40, engine="ray", workers=1)
    assert (done.resumed, done.partitions) == (2, 3)
    pd.testing.assert_frame_equal(pd.read_parquet(done.out), alone)


def test_an_engine_that_is_left_ends_its_processes(exported, tmp_path):
    (tmp_path / "in").mkdir()
    pd.DataFrame({"text": ["a slow film"] * 100}).to_parquet(tmp_path / "in" / "a.parquet")
    work, parts = prepared(exported, tmp_path / "in", tmp_path / "out", rows=10)
    outcomes = engines.local(work, parts, 2)
    next(outcomes)
    assert len(children(WORKER["local"])) == 2
    start = time.perf_counter()
    outcomes.close()
    assert not children(WORKER["local"]) and time.perf_counter() - start < 2


def test_no_more_workers_than_partitions_and_threads_than_cores(exported, table, tmp_path):
    work, parts = prepared(exported, table, tmp_path / "out", rows=50)
    for workers, cpus, expected in ((None, 8, (3, 2)), (2, 8, (2, 4)), (9, 2, (3, 1))):
        shared, started = engines._shared_out(work, parts, workers, cpus)
        assert (started, shared.opening[3]) == expected


def test_what_cannot_be(exported, table, tmp_path):
    with pytest.raises(ValueError, match=r"engine='rya' is not one of \['local', 'ray'\]. Did you mean 'ray'"):
        choose_engine("rya")
    work, parts = prepared(exported, table, tmp_path / "out", rows=50)
    work = replace(work, opening=(*work.opening[:-1], (lambda text: text,)))
    with pytest.raises(ValueError, match=r"other processes cannot import the cleaning function .*<lambda>"):
        next(engines.local(work, parts, 1))
