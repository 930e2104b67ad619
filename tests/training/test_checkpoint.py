"""Checkpoints are written atomically, and only read by the run that wrote them."""

import warnings
from functools import partial

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.training import GradientClip
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert import Phase
from kickbert.text import EDA
from kickbert.training.checkpoint import RunKey, first_states, load_phase, run_parts, save_phase, structure

KEY = RunKey({"rows": "1", "loss": "2"})


def test_only_trained_weights_are_saved(tmp_path):
    model, file = nn.Linear(3, 2), tmp_path / "deep" / "gradual.safetensors"
    weight = model.weight.detach().clone()
    save_phase(file, {"weight": model.weight}, KEY, [{"phase": "head", "accuracy": 0.5}])
    nn.init.zeros_(model.weight), nn.init.constant_(model.bias, 9)
    assert load_phase(file, model, KEY) == [{"phase": "head", "accuracy": 0.5}]
    assert torch.equal(model.weight, weight) and model.bias.tolist() == [9, 9]
    assert [p.name for p in file.parent.iterdir()] == ["gradual.safetensors"]


def test_another_run_is_refused_and_a_missing_checkpoint_is_none(tmp_path):
    model, file = nn.Linear(1, 1), tmp_path / "a.safetensors"
    assert load_phase(tmp_path / "none", model, KEY) is None
    save_phase(file, {"weight": model.weight}, KEY, [])
    with pytest.raises(ValueError, match=r"belongs to a run with other loss\. Pass the same again, or start over"):
        load_phase(file, model, RunKey({"rows": "1", "loss": "3"}))
    save_phase(file, {"weight": model.weight}, RunKey({"rows": "1"}, "loss: a lock"), [])
    with pytest.raises(ValueError, match="belongs to a run with other loss"):  # the loss had no fingerprint then
        load_phase(file, model, KEY)


def test_a_kill_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    model, file = nn.Linear(1, 1), tmp_path / "a.safetensors"
    save_phase(file, {"weight": model.weight}, KEY, [{"phase": "head"}])
    monkeypatch.setattr("kickbert.utils.atomic_files.os.replace", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_phase(file, {"weight": model.weight}, KEY, [{"phase": "head"}, {"phase": "last layer"}])
    assert load_phase(file, model, KEY) == [{"phase": "head"}]


PHASES = [Phase("head", 3, 1, 1e-3)]


def key(learn, phases=PHASES, cbs=None) -> RunKey:
    return RunKey.of(run_parts(learn, phases, cbs, []))


@pytest.mark.parametrize(
    ("own", "part"),
    [
        ({"loss": "focal"}, "loss"),
        ({"loss": F.cross_entropy}, "loss"),
        ({"class_weights": {"good": 2.0}}, "loss"),
        ({"sampling": "balanced"}, "batches"),
        ({"bs": 8}, "batches"),
        ({"optimizer": "lamb"}, "optimizer"),
        ({"optimizer": partial(OptimWrapper, opt=torch.optim.AdamW, eps=1e-4)}, "optimizer"),
        ({"precision": "bf16"}, "precision"),
        ({"dropout": 0.3}, "model"),
        ({"pooling": "max"}, "model"),
        ({"metrics": [accuracy]}, "metrics"),
        ({"cbs": [GradientClip(1.0)]}, "callbacks"),
        ({"max_length": 5}, "rows"),
    ],
)
def test_what_a_run_depends_on(make, reviews, own, part):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # texts that are cut
        one, same, other = make(reviews), make(reviews), make(reviews, **own)
    assert key(one) == key(same) and not key(one).unidentified
    assert [name for name, value in key(one).parts.items() if value != key(other).parts[name]] == [part]


def test_other_values_that_a_run_depends_on(make, reviews):
    learn = make(reviews)
    before = key(learn)

    def changed(now: RunKey) -> list[str]:
        return [name for name, value in now.parts.items() if value != before.parts[name]]

    assert changed(key(learn, [Phase("head", 3, 1, 2e-3)])) == ["phases"]
    assert changed(key(learn, cbs=[GradientClip(0.5)])) == ["callbacks"]
    learn.wd = 0.5
    assert changed(key(learn)) == ["optimizer"]
    learn.wd, learn.loss_func.temperature = 0.01, 2.0
    assert changed(key(learn)) == []  # it is fitted after training
    learn.model.encoder.layers[0].register_forward_hook(print)
    assert changed(key(learn)) == ["model"]


@pytest.mark.parametrize("own", [{"metrics": [accuracy]}, {"augment": EDA(each_epoch=True)}, {"label_col": "labels"}])
def test_training_does_not_change_the_key(make, reviews, own):
    df = reviews.assign(labels=[["a", "b"][: 1 + i % 2] for i in range(len(reviews))])
    learn, same = (make(df, cbs=[GradientClip(1.0)], **own) for _ in range(2))
    before = key(learn)
    assert before == key(same) and not before.unidentified
    learn.fit_gradual(PHASES)
    assert key(learn) == before


def test_structure_is_everything_except_the_weights():
    one, same, other = nn.Linear(2, 2), nn.Linear(2, 2).eval(), nn.Linear(2, 2, bias=False)
    assert structure(one) == structure(same)
    assert structure(nn.Sequential(one, nn.GELU())) != structure(nn.Sequential(one, nn.ReLU()))
    assert structure(nn.LayerNorm(2)) != structure(nn.LayerNorm(2, eps=1e-3)) and structure(one) == structure(other)


def test_a_callback_is_identified_by_its_first_state(make, reviews):
    clip = GradientClip(1.0)
    first = first_states([clip])
    learn = make(reviews, cbs=[clip])
    clip.max_norm = 5.0
    assert first_states(clip) == first != first_states(GradientClip(2.0))
    assert clip.learn is learn and first_states(["a", None]) == ["a", None]


class Own(Callback):
    pass


def test_your_own_code_is_resumed_only_under_a_name(make, reviews, capsys):
    ladder = make(reviews).fit_gradual(PHASES, cbs=[Own()])
    again = make(reviews).fit_gradual(PHASES, cbs=[Own()], resume=True)
    line = "starting over: callbacks: the class 'Own' is not from an installed library. Pass name='...'"
    assert line in capsys.readouterr().out and again["seconds"][0] != ladder["seconds"][0]
    with pytest.raises(ValueError, match="belongs to a run with other callbacks"):
        make(reviews).fit_gradual(PHASES, resume=True)
    named = make(reviews).fit_gradual(PHASES, cbs=[Own()], name="v1")
    assert make(reviews).fit_gradual(PHASES, cbs=[Own()], name="v1", resume=True).equals(named)
    with pytest.raises(ValueError, match="belongs to a run with other callbacks"):
        make(reviews).fit_gradual(PHASES, cbs=[Own()], name="v2", resume=True)


def test_another_run_has_another_key(make, reviews):
    make(reviews).fit_gradual(PHASES)
    with pytest.raises(ValueError, match=r"belongs to a run with other batches, precision, loss, optimizer\. Pass"):
        make(reviews, loss="focal", optimizer="radam", bs=8, precision="bf16").fit_gradual(PHASES, resume=True)


def test_weights_of_another_model_change_the_key(make, reviews):
    everything = [Phase("everything", 0, 1, 1e-3)]
    make(reviews).fit_gradual(everything)
    other = make(reviews)
    with torch.no_grad():
        next(other.model.encoder.parameters()).add_(1)
    with pytest.raises(ValueError, match="belongs to a run with other weights"):
        other.fit_gradual(everything, resume=True)
