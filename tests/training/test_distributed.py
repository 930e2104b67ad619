"""Ranks split the rows of each batch, and take the same steps as one process."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import BAD, GOOD

from kickbert import Cache, gradual_unfreezing
from kickbert.text import EDA
from kickbert.training import distributed
from kickbert.training.distributed import Shard, data_parallel, join, on_first

RANKS = """
import json, os, sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert, torch
from fastai.callback.tracker import EarlyStoppingCallback
from fastai.callback.training import GradientAccumulation
from kickbert.training.distributed import on_first

df, folder, rank = pd.read_csv(sys.argv[2]), sys.argv[3], int(os.environ["RANK"])
def make(rows=df, **how):
    how = {"dropout": 0.0, "class_weights": "balanced", "bs": 8, "seed": 3} | how
    return kickbert.learner_from_df(rows, model=sys.argv[1], path=folder, precision="fp32", **how)
def error(work):
    try:
        work()
    except Exception as err:
        return f"{type(err).__name__}: {err}"
learn, results = make(), {}
head = kickbert.gradual_unfreezing(4, layers=(0,))
ladder = learn.fit_gradual(kickbert.gradual_unfreezing(4, layers=(1, 2), epochs=(1, 1), lr=1e-2) + head)
results["ladder"] = ladder.drop(columns="seconds").to_dict("records")
results["loss"] = float(learn.validate()[0])
results["bytes"] = int(learn.cache.info()["bytes"].sum())
results["artifact"] = str(learn.save_artifact(folder + "/k"))
torch.save(learn.model.state_dict(), f"{folder}/{rank}.pt")
few = make(sampling="balanced")
few.fit_gradual(head)
torch.save(few.model.state_dict(), f"{folder}/few{rank}.pt")
many = make()
many.fit_one_cycle(30, 1e-3, cbs=[EarlyStoppingCallback(patience=1), GradientAccumulation(16)])
results["epochs"] = len(many.recorder.values)
torch.save(many.model.state_dict(), f"{folder}/many{rank}.pt")
side = make()
side.fit_gradual("fast")
torch.save(side.model.state_dict(), f"{folder}/side{rank}.pt")
chance = make(seed=None, valid=df.index[:16], sampling="balanced", dropout=0.5)  # ranks begin with different heads
chance.fit(1, 1e-3)
results["head"] = chance.model.head.classifier.weight.sum().item()
results["lr_find"] = error(lambda: make().lr_find(show_plot=False))
results["rows"] = error(lambda: make(df if rank == 0 else df[10:]).fit_gradual())
results["few"] = error(lambda: make(df[:20], valid=df.index[:1]).fit_gradual())
results["first"] = [on_first(lambda: rank), error(lambda: on_first(lambda: 1 / 0))]
json.dump(results, open(f"{folder}/{rank}.json", "w"))
"""


def ranks(code: str, *arguments, count: int = 2) -> subprocess.Popen:
    """Run a script on two ranks with one thread each."""
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", "--no-python"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*call, sys.executable, "-u", "-c", code, *map(str, arguments)], env=env, **pipes)


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    """118 rows of two classes, one rarer than the other."""
    texts = [f"{text} {'word ' * (i % 7)}no {i}" for i in range(14) for text in GOOD + BAD[:3]]
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    pd.DataFrame({"text": texts, "label": (["good"] * 5 + ["bad"] * 3) * 14}).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def trained(tiny, csv, tmp_path_factory):
    """The folder of a run on two ranks, its output, and the results of each rank."""
    folder = tmp_path_factory.mktemp("ranks")
    process = ranks(RANKS, tiny, csv, folder)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return folder, out, [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture
def as_rank(monkeypatch):
    """Make this process one of several."""

    def set_rank(rank: int, count: int = 2) -> None:
        for name, value in {"RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")

    yield set_rank
    monkeypatch.undo()


def shards(as_rank, dl, count: int) -> list[Shard]:
    made = []
    for rank in range(count):
        as_rank(rank, count)
        made.append(Shard.of(dl))
    return made


def batches(as_rank, shard: Shard, rank: int, count: int, seed: int = 5) -> list[list[int]]:
    """Numbers of the shard's rows in each of its batches."""
    as_rank(rank, count)
    shard.seed(seed)
    return [list(shard.batch_rows) for _ in shard]


@pytest.mark.parametrize(("rows", "count", "bs"), [(100, 2, 16), (101, 2, 10), (103, 3, 16), (8, 3, 16), (97, 2, 2)])
def test_each_rank_has_its_rows_once_an_epoch_in_as_many_batches(make, reviews, as_rank, rows, count, bs):
    df = reviews.assign(text=reviews["text"] + [" and so on" * (i % 9) for i in range(len(reviews))])[: rows + 12]
    learn = make(df, valid=df.index[:12], bs=bs)
    for dl in learn.dls.loaders:
        all_rows, steps, longest = [], set(), []
        for rank, shard in enumerate(shards(as_rank, dl, count)):
            own = batches(as_rank, shard, rank, count)
            assert shard.sizes[rank] == len(own[-1]) or (shard.sizes[rank], len(own[-1])) == (0, 1)
            counted = [row for batch in own[:-1] for row in batch] + own[-1][: shard.sizes[rank]]
            assert sorted(counted) == list(range(len(shard.rows[0]))) and all(own)
            assert [len(b) for b in own[:-1]] == [shard.bs] * (len(own) - 1)
            assert len(own) == len(dl) or bs % count
            all_rows += shard.rows[0].keys
            steps |= {len(own), len(shard)}
            longest.append([shard.rows[0].lengths[b].mean() for b in own[:-1]])
        assert sorted(all_rows) == sorted(dl.rows[0].keys) and len(steps) == 1
        if len(longest[0]) > 3 and bs > 2:  # no rank waits for another's longer batch
            assert np.abs(np.diff(longest, axis=0)).mean() < 0.1 * np.mean(longest)


def test_sampling_windows_augmentation_and_copies_of_a_shard(make, reviews, as_rank):
    reviews.loc[:20, "label"] = "rare"
    learn = make(reviews, sampling="balanced", long="windows", max_length=8, stride=2)
    varied = make(reviews, augment=EDA(each_epoch=True))
    for rank, shard in enumerate(shards(as_rank, learn.dls.train, 2)):
        as_rank(rank)
        labels = torch.cat([y for _, y in shard])
        assert len(labels) >= len(shard.rows[1]) and np.bincount(labels).min() > 10
        assert (shard.rows[0].first is not None) and len(shard.rows[0].sizes) == len(shard.rows[1])
        assert len(shard.new().rows[1]) == len(learn.dls.train.rows[1])
    for rank, shard in enumerate(shards(as_rank, varied.dls.train, 2)):
        as_rank(rank)
        assert shard.varies and sum(len(y) for _, y in shard) >= len(shard.rows[1]) == len(shard.ids)


def test_too_many_processes(make, reviews, as_rank, monkeypatch):
    learn = make(reviews, valid=reviews.index[:2])
    as_rank(0, 3)
    with pytest.raises(ValueError, match="3 processes are too many for 2 rows; start at most 2"):
        Shard.of(learn.dls.valid)
    as_rank(0, 4_096)
    with pytest.raises(ValueError, match=r"4096 processes are too many: this machine has \d+ (cores|GPUs)"):
        join()


def test_a_single_process_is_not_changed(make, reviews):
    learn = make(reviews)
    with data_parallel(learn, 1):
        assert not isinstance(learn.dls.train, Shard) and not torch.distributed.is_initialized()
    assert on_first(lambda: 7) == 7


def test_ranks_of_a_machine_share_its_memory_and_not_a_cache_folder(as_rank, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1_000))
    alone = Cache()._available("memory")
    as_rank(1)
    assert Cache()._available("memory") == alone // 2 and Cache(folder=tmp_path).folder == tmp_path / "1of2"


@pytest.mark.system
def test_ranks_end_with_the_same_weights_and_metrics(trained):
    folder, _, (first, second) = trained
    for name in ("", "few", "many", "side"):
        weights = [torch.load(folder / f"{name}{rank}.pt") for rank in (0, 1)]
        assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    for name in ("ladder", "loss", "epochs", "artifact", "head"):
        assert first[name] == second[name], name
    assert 2 <= first["epochs"] < 30
    # Validation rows have the same metrics, whether split or not.
    assert first["ladder"][-1]["valid_loss"] == pytest.approx(first["loss"], rel=1e-5)


@pytest.mark.system
def test_a_step_on_ranks_is_a_step_of_one_process(trained, tiny, csv, as_rank, make):
    """One process that trains on the ranks' batches in turn ends with the same weights."""
    df = pd.read_csv(csv)
    learn = make(df, dropout=0.0, class_weights="balanced", bs=8, seed=3)
    parts, train = shards(as_rank, learn.dls.train, 2), learn.dls.train

    def order():
        state, steps = train.rng.getstate(), []
        for rank, part in enumerate(parts):
            as_rank(rank)
            train.rng.setstate(state)
            part.rng = train.rng
            own = np.argsort(-train.rows[0].sizes, kind="stable")[rank::2][part.get_idxs()]
            steps.append([own[4 * k : 4 * k + 4] for k in range(len(part))])
        as_rank(0, 1)
        return [int(row) for pair in zip(*steps, strict=True) for batch in pair for row in batch]

    train.get_idxs = order
    as_rank(0, 1)
    head = gradual_unfreezing(4, layers=(0,))
    ladder = learn.fit_gradual(gradual_unfreezing(4, layers=(1, 2), epochs=(1, 1), lr=1e-2) + head)
    weights = torch.load(trained[0] / "0.pt")
    # Adam divides by the size of the gradient, so a gradient of rounding errors (a key's bias) still makes a step.
    encoder = {k: v for k, v in learn.model.state_dict().items() if k.startswith("encoder")}
    assert all(torch.allclose(weights[k], v, atol=2e-3) for k, v in encoder.items())
    for row, other in zip(ladder.to_dict("records"), trained[2][1]["ladder"], strict=True):
        assert row["phase"] == other["phase"]
        tolerance = 2e-2 if row["phase"] == "head" else 1e-4  # the optimum magnifies differences of the states
        assert [row[k] for k in other if k != "phase"] == pytest.approx(
            [v for k, v in other.items() if k != "phase"], rel=tolerance, nan_ok=True
        )


@pytest.mark.system
def test_only_the_first_rank_writes_and_prints(trained):
    folder, out, results = trained
    assert [file.name for file in sorted((folder / "k").iterdir())] == ["latest", "v1"]
    assert results[0]["artifact"].endswith("k/v1") and (folder / "models" / "gradual.safetensors").exists()
    assert out.count("1/3 last layer  epoch 1") == 1
    assert f"cache: {results[0]['bytes']:,} bytes on rank 0, {results[1]['bytes']:,} bytes on rank 1" in out
    assert min(rank["bytes"] for rank in results) > 0
    assert results[0]["first"] == results[1]["first"] == [0, "ZeroDivisionError: division by zero"]


@pytest.mark.system
def test_bad_input_is_an_error_on_each_rank(trained):
    for results in trained[2]:
        assert results["rows"].startswith("ValueError: rank 1 differs from rank 0 in rows")
        assert "training and validation rows: [87, 15] and [95, 17]" in results["rows"]
        assert results["few"] == "ValueError: 2 processes are too many for 1 row; start at most 1"
        assert results["lr_find"].startswith("ValueError: lr_find runs in one process only")


LONG = """
import os, sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert, torch
rank = os.environ["RANK"]
print(f"pid {rank} {os.getpid()}", flush=True)
learn = kickbert.learner_from_df(pd.read_csv(sys.argv[2]), model=sys.argv[1], path=sys.argv[3], precision="fp32", bs=8)
learn.fit_gradual(kickbert.gradual_unfreezing(4, layers=(0, 2), epochs=(1, 8), lr=1e-3), resume=True)
torch.save(learn.model.state_dict(), f"{sys.argv[3]}/{rank}.pt")
"""


@pytest.mark.system
def test_a_killed_rank_ends_the_other_and_the_run_resumes(tiny, csv, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process, pids = ranks(LONG, tiny, csv, killed), {}
    for line in process.stdout:
        if line.startswith("pid"):
            pids[line.split()[1]] = int(line.split()[2])
        if line.startswith("2/2 last 2 layers  epoch 2"):
            os.kill(pids["1"], signal.SIGKILL)
            break
    start = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode and time.monotonic() - start < 60
    assert "SIGKILL" in err or "rank 0 lost another of 2 ranks" in err
    with pytest.raises(ProcessLookupError):
        os.kill(pids["0"], 0)
    resumed, unkilled = ranks(LONG, tiny, csv, killed), ranks(LONG, tiny, csv, whole)
    out, err = resumed.communicate(timeout=240)
    assert resumed.returncode == 0 and "resuming after 1 of 2 phases" in out and "1/2 head" not in out, err
    assert unkilled.communicate(timeout=240) and unkilled.returncode == 0
    weights = [torch.load(folder / f"{rank}.pt") for folder in (whole, killed) for rank in (0, 1)]
    assert all(torch.equal(weights[0][k], other[k]) for k in weights[0] for other in weights[1:])


@pytest.mark.parametrize("missing", ["posix_fallocate", "/dev/shm"])
def test_macos_and_windows_have_no_shared_memory(monkeypatch, missing):
    def no_such_folder(prefix, dir):
        raise FileNotFoundError(2, "No such file or directory", dir)

    if missing == "posix_fallocate":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(distributed.tempfile, "NamedTemporaryFile", no_such_folder)
    monkeypatch.setattr(distributed, "_of_all", lambda value: [value])
    assert distributed.shared_memory((1, 4)) is None
