"""Each epoch has a value for each name and a line; bars appear only in a terminal."""

import subprocess
import sys

import numpy as np
import pytest
from fastai.callback.core import Callback, CancelEpochException, CancelValidException
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.callback.training import ShortEpochCallback
from fastai.learner import Recorder

from kickbert import Phase
from kickbert.training.recorder import epoch_line

SCRIPT = """
import warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert
df = pd.DataFrame({"text": ["good film", "bad film"] * 30, "label": ["good", "bad"] * 30})
kickbert.learner_from_df(df, model=%r, path=%r, bs=8, schedule={"epochs": (1, 2)}).fit_gradual()
"""


def test_a_line_names_phase_epoch_and_numbers():
    line = epoch_line(["epoch", "train_loss", "accuracy", "time"], [2, 0.5, None, "00:01"], "2/3 last layer")
    assert line == "2/3 last layer  epoch 2  train_loss 0.5000  00:01"


@pytest.fixture
def script(tiny, tmp_path):
    return [sys.executable, "-c", SCRIPT % (tiny, str(tmp_path))]


@pytest.mark.system
def test_a_log_file_gets_lines_and_no_bars(script):
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert "\r" not in done.stdout and "%" not in done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "  epoch " in line]
    assert [line.split("  ")[0] for line in lines] == ["1/2 head", *["2/2 last 2 layers"] * 2]


@pytest.mark.system
def test_a_terminal_gets_bars_and_the_same_lines(script):
    import fcntl
    import os
    import pty
    import struct
    import termios

    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))  # rows and columns
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
    assert "cache: computing depth 2" in text
    assert "\r" in text and "%" in text and "1/2 head  epoch 1" in text and "2/2 last 2 layers  epoch 2" in text


class Cancel(Callback):
    """Cancel at an event of the second epoch, before other callbacks."""

    order = -20

    def __init__(self, event: str, exception: type[Exception]):
        setattr(self, event, lambda: self.cancel(exception))

    def cancel(self, exception: type[Exception]) -> None:
        if self.epoch == 1:
            raise exception


NEITHER, TRAINED = [True] * 4, [False, True, True, True]


@pytest.mark.parametrize(
    ("cbs", "options", "lacking"),
    [
        ([], {"start_epoch": 2}, [NEITHER, NEITHER, [False] * 4]),
        ([ShortEpochCallback(pct=0.3)], {}, [NEITHER] * 3),
        ([ShortEpochCallback(pct=0.3, short_valid=False)], {}, [[True, False, False, False]] * 3),
        ([Cancel("before_epoch", CancelEpochException)], {}, [[False] * 4, NEITHER, [False] * 4]),
        ([Cancel("after_train", CancelEpochException)], {}, [[False] * 4, NEITHER, [False] * 4]),
        ([Cancel("before_validate", CancelValidException)], {}, [[False] * 4, TRAINED, [False] * 4]),
    ],
)
def test_an_incomplete_epoch_has_no_value_under_a_wrong_name(make, reviews, cbs, options, lacking, capsys):
    learn = make(reviews, bs=8)  # two batches validate
    learn.fit(3, 1e-3, cbs=cbs, **options)
    assert learn.recorder.names == ["train_loss", "valid_loss", "accuracy", "macro-F1"]
    assert np.isnan(np.array(learn.recorder.values, dtype=float)).tolist() == lacking
    lines = capsys.readouterr().out.splitlines()[-3:]
    for number, (line, gone) in enumerate(zip(lines, lacking, strict=True), start=1):
        assert line.startswith(f"epoch {number}  ")
        assert [name not in line for name in learn.recorder.names] == gone
    assert np.isnan(learn.history.fits[-1].values).tolist() == lacking
    assert np.isfinite(learn.validate()).all()


def test_validation_may_be_switched_off_and_training_rows_measured(make, reviews, tmp_path):
    learn = make(reviews, cbs=[Recorder(train_metrics=True)])
    learn.fit(1, 1e-3, cbs=CSVLogger())
    names = ["train_loss", "train_accuracy", "train_macro-F1", "valid_loss", "valid_accuracy", "valid_macro-F1"]
    assert learn.recorder.names == names
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == ",".join(["epoch", *names, "time"])
    learn.recorder.train_metrics = learn.recorder.valid_metrics = False
    assert list(learn.fit_gradual([Phase("head", 3, 1, 1e-3)]).columns[-2:]) == ["seconds", "train_loss"]


def test_the_ladder_has_the_scores_of_the_restored_weights(make, reviews):
    learn = make(reviews, valid=0.3)
    worst = SaveModelCallback(monitor="valid_loss", comp=np.greater)  # the first epoch's, as the loss falls
    ladder = learn.fit_gradual([Phase("everything", 0, 4, 1e-2)], cbs=[worst])
    fit = learn.history.fits[-1]
    assert fit.kept == int(np.argmax([row[1] for row in fit.values])) < 3
    assert ladder[["valid_loss", "accuracy"]].iloc[0].tolist() == pytest.approx(learn.validate()[:2], abs=1e-5)
    assert learn.metadata["metrics"]["train_loss"] == pytest.approx(fit.values[fit.kept][0]) == ladder["train_loss"][0]
    stopped = learn.fit_gradual([Phase("head", 3, 9, 1e-9)], cbs=[EarlyStoppingCallback(patience=1)])
    assert stopped["epochs"][0] == 2 and learn.history.fits[-1].kept == -1


def test_a_callback_that_needs_validation_raises_an_error(make, reviews):
    learn = make(reviews, valid=None)
    with pytest.raises(ValueError, match="monitor='valid_loss' needs validation rows, and the learner has none"):
        learn.fit(1, cbs=SaveModelCallback())
    learn.fit(2, 1e-3, cbs=SaveModelCallback(monitor="train_loss"))
    with pytest.raises(ValueError, match="there are no validation rows"):
        learn.validate()
