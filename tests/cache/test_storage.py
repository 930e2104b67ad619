"""States are stored in memory, then in a temporary file, then not at all."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.cached import counted

from kickbert import Cache, Phase

CPU = torch.device("cpu")


PHASES = [Phase("head", 3, 1, 1e-2), Phase("last layer", 2, 1, 3e-3, 0.9)]  # both take steps


def test_memory_first_then_a_file_then_nothing():
    stores = Cache(memory=1000, disk=4000)
    flat, where = stores.allocate((25, 10), torch.float32, CPU, set())
    assert where == "memory" and flat.shape == (25, 10)
    flat, where = stores.allocate((26, 10), torch.float32, CPU, set())
    assert where == "file" and flat.shape == (26, 10)
    flat.fill_(7)
    assert flat.sum() == 7 * 260
    flat, why = stores.allocate((101, 10), torch.float32, CPU, set())
    assert flat is None and "exceed the memory and disk budgets" in why


@pytest.mark.parametrize("fallocate", [True, False])
def test_temporary_files_are_deleted_at_once(monkeypatch, fallocate):
    if not fallocate:  # macOS and Windows
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    before = set(Path(tempfile.gettempdir()).glob("kickbert-*"))
    flat, where = Cache(memory=0).allocate((100, 10), torch.float32, CPU, set())
    assert where == "file" and set(Path(tempfile.gettempdir()).glob("kickbert-*")) == before
    flat[:] = 3
    assert flat.mean() == 3


def test_a_mapped_file_that_cannot_be_deleted_is_deleted_at_exit(monkeypatch):
    def refuse(name):  # as Windows does
        raise PermissionError(13, "in use")

    later = []
    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr("kickbert.cache.storage.atexit.register", lambda *args, **kwargs: later.append((args, kwargs)))
    flat, where = Cache(memory=0).allocate((100, 10), torch.float32, CPU, set())
    monkeypatch.undo()
    [((delete,), options)] = later
    assert where == "file" and delete.__self__.exists()
    delete(**options)
    assert not delete.__self__.exists() and flat.fill_(2).mean() == 2


def test_earlier_stores_are_evicted():
    stores = Cache(memory=1000, disk=0)
    old = stores.get("old", 1, False)
    flat, where = stores.allocate((20, 10), torch.float32, CPU, {"old"})
    old.segments.append(flat), old.where.append(where)
    assert stores.used("memory") == 800
    assert stores.allocate((20, 10), torch.float32, CPU, {"old"})[0] is None
    assert stores.allocate((20, 10), torch.float32, CPU, set())[1] == "memory" and "old" not in stores.by_key


@pytest.mark.parametrize("where", ["memory", "file"])
def test_the_least_recently_used_is_evicted_and_only_if_that_helps(where):
    stores = Cache(memory=2000 if where == "memory" else 0, disk=2000 if where == "file" else 0)
    for key in ("first", "second"):
        flat, there = stores.allocate((20, 10), torch.float32, CPU, set())
        stores.get(key, 1, False).segments.append(flat), stores.by_key[key].where.append(there)
    assert stores.used(where) == 1600
    assert stores.allocate((60, 10), torch.float32, CPU, set())[0] is None  # more than both: both stay
    assert list(stores.by_key) == ["first", "second"]
    stores.find("first")
    assert stores.allocate((20, 10), torch.float32, CPU, set())[1] == where
    assert list(stores.by_key) == ["first"]
    assert stores.find("second") is None


def test_a_full_disk_or_a_missing_folder_turns_the_cache_off(make, reviews, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    learn = make(reviews, cache=Cache(memory=0))
    ladder = learn.fit_gradual(PHASES)
    assert "off, the frozen part is computed in each epoch: no temporary file" in capsys.readouterr().out
    monkeypatch.undo()
    plain = make(reviews, cache=False).fit_gradual(PHASES)
    assert ladder.drop(columns="seconds").equals(plain.drop(columns="seconds"))
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    monkeypatch.setattr("kickbert.cache.storage.shutil.disk_usage", lambda p: type("Usage", (), {"free": 1 << 40}))
    make(reviews, cache=Cache(memory=0)).fit_gradual(PHASES)
    assert "No such file or directory" in capsys.readouterr().out


def test_past_the_memory_budget_the_numbers_are_the_same(make, reviews, capsys):
    in_memory = make(reviews, cache=Cache()).fit_gradual(PHASES)
    capsys.readouterr()
    learn = make(reviews, cache=Cache(memory=0))
    on_disk = learn.fit_gradual(PHASES)
    assert capsys.readouterr().out.count("using a temporary file") == 2
    assert set(learn.cache.info()["where"]) == {"file"}
    assert on_disk.drop(columns="seconds").equals(in_memory.drop(columns="seconds"))


def test_a_folder_keeps_stores_between_processes(make, reviews, tmp_path, monkeypatch):
    folder = tmp_path / "kept"
    first = make(reviews.iloc[:80], cache=Cache(folder=folder)).fit_gradual(PHASES)
    make(reviews, cache=Cache(folder=folder)).fit_gradual(PHASES)  # adds a segment for the other 40 rows
    names = sorted(p.name for p in folder.iterdir())
    assert len(names) == 8 and all(n.endswith((".states", ".index")) for n in names)
    later = Cache(folder=folder)  # as another process would open it
    learn = make(reviews, cache=later)
    computed = counted(monkeypatch, learn, 0)
    learn.fit_gradual(PHASES)
    assert not computed and learn.cache.info()["rows"].tolist() == [120, 120]
    again = make(reviews.iloc[:80], cache=later).fit_gradual(PHASES)
    assert np.allclose(again["valid_loss"], first["valid_loss"], atol=1e-5)


@pytest.mark.parametrize(("kind", "damage"), [("states", "cut"), ("states", "gone"), ("index", "cut")])
def test_a_damaged_file_is_computed_again(make, reviews, tmp_path, damage, kind):
    folder = tmp_path / "kept"
    first = make(reviews, cache=Cache(folder=folder)).fit_gradual(PHASES)
    for file in folder.glob(f"*.{kind}"):
        file.unlink() if damage == "gone" else os.truncate(file, 100)
    learn = make(reviews, cache=Cache(folder=folder))
    assert learn.fit_gradual(PHASES).drop(columns="seconds").equals(first.drop(columns="seconds"))


KILLED = """
import sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert, kickbert.cache
from kickbert import Cache
df = pd.DataFrame({"text": ["good film", "bad film"] * 200, "label": ["good", "bad"] * 200})
learn = kickbert.learner_from_df(df, model=sys.argv[1], path=sys.argv[2], cache=Cache(memory=0))
learn.freeze_to(2)
learn.fit(1000, 1e-3)
"""


@pytest.mark.system
def test_a_killed_process_leaves_no_files_behind(tiny, tmp_path):
    before = set(Path(tempfile.gettempdir()).glob("kickbert-*"))
    process = subprocess.Popen([sys.executable, "-c", KILLED, tiny, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("epoch 2"):
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait(60) == -signal.SIGKILL
    assert set(Path(tempfile.gettempdir()).glob("kickbert-*")) == before
    assert list(tmp_path.rglob("*")) == []
