"""`kickbert train --processes 2`: two processes train one model, and only one prints."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from kickbert.cli import launching

pytestmark = pytest.mark.system


@pytest.mark.system
def test_two_processes_train_one_model(rows, tiny, tmp_path):
    call = ["train", rows, "--out", tmp_path / "k", "--model", tiny, "--processes", 2, "--json"]
    done = subprocess.run([sys.executable, "-c", launching.COMMAND, *map(str, call)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["model"].endswith("k/v1") and len(result["ladder"]) == 2 and not (tmp_path / "k" / "v2").exists()
    assert done.stderr.count("1/2 head  epoch 1") == 1 and "bytes on rank 1" in done.stderr


def test_too_many_processes_are_an_error(rows, tmp_path, kickbert):
    done = kickbert("train", rows, "--out", tmp_path / "k", "--processes", 4_096)
    assert done.returncode == 1 and done.stderr.startswith("error: 4096 processes are too many: ")


@pytest.mark.system
def test_an_error_in_all_processes_is_printed_once(rows, tiny, tmp_path):
    few = tmp_path / "few.csv"
    pd.read_csv(rows)[:10].to_csv(few, index=False)
    call = ["train", few, "--out", tmp_path / "k", "--model", tiny, "--processes", 2]
    done = subprocess.run([sys.executable, "-c", launching.COMMAND, *map(str, call)], capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert done.returncode == 1 and errors == ["error: 2 processes are too many for 1 row; start at most 1"]


@pytest.mark.parametrize(
    ("exitcode", "reason"),
    [(-9, "process 1 was killed by SIGKILL, so the others were stopped; nothing was saved"), (1, "no column 'txt'")],
)
def test_the_reason_of_another_process(tmp_path, exitcode, reason):
    log = tmp_path / "run" / "attempt_0" / "1" / "stderr.log"
    log.parent.mkdir(parents=True)
    log.write_text("warning: so\nerror: no column 'txt'\n", encoding="utf-8")
    failure = SimpleNamespace(exitcode=exitcode, signal_name=lambda: "SIGKILL")
    assert launching._reason(1, failure, tmp_path) == reason
