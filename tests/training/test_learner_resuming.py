"""An interrupted run resumes where it stopped, and ends with the same weights."""

import os
import signal
import subprocess
import sys

import pytest
import torch
from fastai.callback.core import Callback

from kickbert import gradual_unfreezing

RUN = """
import sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert, torch
from fastai.callback.training import GradientClip

def shout(text):
    return text.upper()

def loss(logits, targets):
    return torch.nn.functional.cross_entropy(logits, targets)

df = pd.read_csv(sys.argv[2])
how = {"cleaning": [shout], "loss": loss, "cbs": [GradientClip(1.0)]}
learn = kickbert.learner_from_df(df, model=sys.argv[1], path=sys.argv[3], precision="fp32", bs=8, **how)
phases = kickbert.gradual_unfreezing(4, layers=(0, 1, 2), epochs=(1, 40, 2), lr=1e-3)
ladder = learn.fit_gradual(phases, resume="resume" in sys.argv, name="v1")
ladder.drop(columns="seconds").to_csv(sys.argv[4])
torch.save(learn.model.state_dict(), sys.argv[4] + ".pt")
"""


def run(tiny, csv, folder, out, *more):
    command = [sys.executable, "-u", "-c", RUN, tiny, str(csv), str(folder), str(out), *more]
    env = os.environ | {"OMP_NUM_THREADS": "1"}  # they run side by side, and the model is tiny
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


@pytest.mark.system
def test_a_killed_run_resumes_at_its_phase_with_the_same_result(tiny, reviews, tmp_path):
    csv = tmp_path / "reviews.csv"
    reviews.to_csv(csv, index=False)
    whole = run(tiny, csv, tmp_path / "whole", tmp_path / "whole.csv")
    killed = run(tiny, csv, tmp_path / "killed", tmp_path / "killed.csv")
    for line in killed.stdout:
        if line.startswith("2/3 last layer  epoch 3"):
            killed.send_signal(signal.SIGKILL)
            break
    assert killed.wait(60) == -signal.SIGKILL and not (tmp_path / "killed.csv").exists()
    resumed = run(tiny, csv, tmp_path / "killed", tmp_path / "killed.csv", "resume")
    output = resumed.communicate(timeout=120)[0]
    assert (
        output.splitlines()[1] == "resuming after 1 of 3 phases"
        and "1/3 head" not in output
        and "2/3 last layer  epoch 1" in output
    )
    whole.communicate(timeout=120)
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "killed.csv").read_text()
    weights = [torch.load(tmp_path / f"{name}.csv.pt") for name in ("whole", "killed")]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_resuming_a_finished_or_new_run(make, reviews, capsys):
    learn = make(reviews)
    ladder = learn.fit_gradual(resume=True)
    assert "no checkpoint at" in capsys.readouterr().out
    again = make(reviews)
    assert again.fit_gradual(resume=True).equals(ladder) and "after 2 of 2 phases" in capsys.readouterr().out
    assert torch.equal(again.model.head.classifier.weight, learn.model.head.classifier.weight)
    with pytest.raises(
        ValueError, match=r"belongs to a run with other rows, phases\. Pass the same again, or start over"
    ):
        make(reviews.iloc[:100]).fit_gradual(resume=True)


def test_an_interrupted_cell_resumes_from_the_weights_of_its_last_phase(make, reviews):
    """In a notebook the weights of the broken phase are still in memory; they must not leak into the resumed run."""

    class Interrupt(Callback):
        armed = True

        def after_epoch(self):
            if self.armed and self.learn.phase_title.startswith("2/2") and self.epoch == 1:
                self.armed = False
                raise KeyboardInterrupt

    interrupt = Interrupt()
    phases = gradual_unfreezing(4, layers=(0, 2), epochs=(1, 3), lr=1e-3)
    whole = make(reviews)
    ladder = whole.fit_gradual(phases).drop(columns="seconds")
    learn = make(reviews, path=whole.path / "other")
    with pytest.raises(KeyboardInterrupt):
        learn.fit_gradual(phases, cbs=[interrupt], name="v1")
    assert learn.fit_gradual(phases, resume=True, cbs=[interrupt], name="v1").drop(columns="seconds").equals(ladder)
    assert all(torch.equal(a, b) for a, b in zip(learn.model.parameters(), whole.model.parameters(), strict=True))
