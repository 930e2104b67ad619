import subprocess
import sys

import pytest

from kickbert.training.metrics import epoch_line

SCRIPT = """
import warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert
df = pd.DataFrame({"text": ["good film", "bad film"] * 30, "label": ["good", "bad"] * 30})
kickbert.learner_from_df(df, model=%r, path=%r, bs=8).fit_gradual()
"""


def test_a_line_names_phase_epoch_and_numbers():
    line = epoch_line(["epoch", "train_loss", "accuracy", "time"], [1, 0.5, None, "00:01"], "2/3 last layer")
    assert line == "2/3 last layer  epoch 2  train_loss 0.5000  00:01"


@pytest.fixture
def script(tiny, tmp_path):
    return [sys.executable, "-c", SCRIPT % (tiny, str(tmp_path))]


def test_a_log_file_gets_lines_and_no_bars(script):
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert "\r" not in done.stdout and "%" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == ["1/2 head", *["2/2 last 2 layers"] * 2]


def test_a_terminal_gets_bars_and_the_same_lines(script):
    import os
    import pty

    reader, writer = pty.openpty()
    done = subprocess.Popen(script, stdout=writer, stderr=writer, close_fds=True)
    os.close(writer)
    shown = b""
    while True:
        try:
            chunk = os.read(reader, 4096)
        except OSError:  # Linux reports the closed terminal so
            break
        if not chunk:
            break
        shown += chunk
    assert done.wait() == 0
    text = shown.decode()
    assert "computing depth 2 once" in text
    assert "\r" in text and "%" in text and "1/2 head  epoch 1" in text and "2/2 last 2 layers  epoch 2" in text
