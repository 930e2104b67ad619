"""A function in a separate process: its result, its failure, and its end."""

import os
import signal
import subprocess
import sys
import time
from unittest.mock import MagicMock

import psutil
import pytest
from conftest import REPO

from kickbert.labeling import child_process
from kickbert.labeling.child_process import LOWEST, ChildProcess, outcome

PARENT = """
import sys, time
from kickbert.labeling.child_process import ChildProcess

if __name__ == "__main__":
    task = ChildProcess(time.sleep, 300)
    task.start()
    print(task.process.pid, flush=True)
    time.sleep(300)
"""
TASK = """
import os, sys

def limits():
    import torch

    return {"nice": os.nice(0), "threads": torch.get_num_threads(), "output": sys.stdout.name}
"""


def until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def fail(message: str) -> dict:
    raise ValueError(message)


def test_the_outcome_is_a_result_or_a_reason():
    assert outcome(dict, ([("a", 1)],)) == {"state": "done", "a": 1}
    assert outcome(fail, ("no\n  memory",)) == {"state": "failed", "reason": "no memory"}
    assert outcome(fail, ("",)) == {"state": "failed", "reason": "ValueError"}


def test_before_it_starts():
    task = ChildProcess(dict)
    assert task.status() == {"state": "none"}
    task.stop()


@pytest.mark.system
@pytest.mark.skipif(not hasattr(os, "nice"), reason="no priorities on this system")
def test_the_lowest_priority_and_one_thread(tmp_path, monkeypatch):
    (tmp_path / "limits_of_a_task.py").write_text(TASK)
    monkeypatch.syspath_prepend(tmp_path)
    from limits_of_a_task import limits

    task = ChildProcess(limits, lowest=True)
    task.start()
    task.start()  # does nothing while it runs
    assert task.status() == {"state": "running"}
    until(lambda: task.status()["state"] != "running", seconds=300)  # the lowest priority waits for everybody
    assert task.status() == {"state": "done", "nice": LOWEST, "threads": 1, "output": os.devnull}


def test_without_priorities(monkeypatch):
    """Windows has no `os.nice`."""
    monkeypatch.delattr(os, "nice", raising=False)
    monkeypatch.setattr(child_process.signal, "signal", lambda *args: None)
    monkeypatch.setattr(child_process.threading, "Thread", MagicMock())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    results = MagicMock()
    child_process._run(results, True, dict, ())
    sys.stdout.close()
    results.send.assert_called_once_with({"state": "done"})


@pytest.mark.system
def test_a_failure_a_crash_and_an_end():
    failing = ChildProcess(int, "x")
    failing.start()
    until(lambda: failing.status()["state"] != "running")
    assert failing.status()["reason"] == "invalid literal for int() with base 10: 'x'"
    crashing = ChildProcess(os._exit, 3)
    crashing.start()
    until(lambda: crashing.status()["state"] != "running")
    assert crashing.status() == {"state": "failed", "reason": "The process ended unexpectedly with exit code 3."}
    long = ChildProcess(time.sleep, 300)
    long.start()
    pid = long.process.pid
    long.stop()
    until(lambda: not psutil.pid_exists(pid))


@pytest.mark.system
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
def test_a_killed_parent_ends_it(tmp_path):
    (tmp_path / "page.py").write_text(PARENT)
    env = os.environ | {"PYTHONPATH": str(REPO)}
    page = subprocess.Popen([sys.executable, tmp_path / "page.py"], stdout=subprocess.PIPE, text=True, env=env)
    child = psutil.Process(int(page.stdout.readline()))
    until(lambda: len(child.cmdline()) > 1 and child.num_threads() > 1)  # it runs
    page.kill()
    page.wait()
    page.stdout.close()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
