"""Training an adapter: the encoder's own weights never change, and all else goes on as without one."""

import numpy as np
import pytest
import torch
from helpers.cached import both

pytest.importorskip("peft", reason="the extra kickbert[lora] is not installed")

import kickbert
from kickbert import GradualLearner, Phase
from kickbert.models.adapters import base_fingerprint
from kickbert.training.schedule import OPTIMIZERS

PHASES = [Phase("head", 3, 1, 5e-3), Phase("last layer", 2, 2, 5e-3), Phase("everything", 0, 1, 5e-3)]


def weights(learn) -> dict[str, torch.Tensor]:
    """The weights by name, as they are now."""
    return {name: p.detach().clone() for name, p in learn.model.named_parameters()}


def changed(learn, before: dict[str, torch.Tensor]) -> set[str]:
    """Names of the weights that are not what they were."""
    return {name for name, p in weights(learn).items() if not torch.equal(p, before[name])}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_phase_thaws_the_encoders_own_weights(make, reviews, optimizer):
    learn = make(reviews, adapter="lora", optimizer=optimizer)
    before, base = weights(learn), base_fingerprint(learn.model.encoder.body)
    assert learn.groups["parameters"].tolist()[0] == 0 and learn.groups["trainable"].tolist() == [
        False,
        True,
        True,
        True,
    ]
    for phase, layers in zip(PHASES, (set(), {"1"}, {"0", "1"}), strict=True):
        learn.fit_gradual([phase])
        assert learn.model.frozen_depth == 2 - len(layers)
        now = changed(learn, before)
        assert {name.split(".")[4] for name in now if name.startswith("encoder")} == layers
        assert all("lora_" in name or name.startswith("head") for name in now)
    assert base_fingerprint(learn.model.encoder.body) == base
    assert learn.ladder[-1]["trainable"] == sum(p.numel() for name, p in learn.model.named_parameters() if name in now)


def test_the_cache_changes_no_loss(make, reviews):
    def work(learn):
        learn.fit_gradual(PHASES[:2])

    without, cached, learn = both(make, reviews, work, adapter="lora")
    torch.testing.assert_close(cached, without, rtol=1e-4, atol=1e-5)
    assert len(learn.cache.info()) == 2


def test_states_below_an_adapter_that_has_learnt_are_not_those_from_before(make, reviews):
    learn = make(reviews, adapter="lora", cache=(cache := kickbert.Cache()))
    learn.fit_gradual([Phase("everything", 0, 1, 5e-3), Phase("head", 3, 1, 5e-3)])
    learn.fit_gradual([Phase("everything", 0, 1, 5e-3), Phase("head", 3, 1, 5e-3)])
    assert len(cache.by_key) == 2
    learn.fit_gradual([Phase("head", 3, 1, 5e-3)])
    assert len(cache.by_key) == 2


def test_fewer_labels_train_the_adapter_too(make, reviews):
    learn = make(reviews, adapter="lora", pooling="mean")
    before = weights(learn)
    learn.fit_few(kickbert.training.FewShot(layers=1, steps=3))
    now = changed(learn, before)
    assert any("lora_B" in name for name in now) and all("lora_" in n or n.startswith("head") for n in now)


class Killed(Exception):
    pass


def test_a_run_that_was_broken_off_goes_on_as_if_it_had_not_been(make, reviews, monkeypatch):
    whole = make(reviews, adapter="lora", path=make(reviews).path / "whole")
    whole.fit_gradual(PHASES)
    cut = make(reviews, adapter="lora")
    fit, fits = GradualLearner.fit, []

    def broken(self, *args, **kwargs):
        fits.append(self)
        if len(fits) == 3:
            raise Killed
        fit(self, *args, **kwargs)

    monkeypatch.setattr(GradualLearner, "fit", broken)
    with pytest.raises(Killed):
        cut.fit_gradual(PHASES)
    monkeypatch.undo()
    resumed = make(reviews, adapter="lora")
    resumed.fit_gradual(PHASES, resume=True)
    assert changed(resumed, weights(whole)) == set() and [row["phase"] for row in resumed.ladder] == [
        p.name for p in PHASES
    ]
    size = (resumed.path / "models" / "gradual.safetensors").stat().st_size
    assert size < 4 * sum(p.numel() for p in resumed.model.parameters())  # adapter, head and their moments
    other = make(reviews, adapter=kickbert.models.adapters.lora_config("lora").__class__(r=4))
    with pytest.raises(ValueError, match="of a run with other model, weights"):
        other.fit_gradual(PHASES, resume=True)
    tampered = make(reviews, adapter="lora")
    with torch.no_grad():
        tampered.model.encoder.layers[0].attention.self.query.base_layer.weight.add_(0.1)
    with pytest.raises(ValueError, match="of a run with other weights that never train"):
        tampered.fit_gradual(PHASES, resume=True)


def test_the_head_begins_with_the_numbers_that_it_has_without_an_adapter(make, reviews):
    heads = [make(reviews, **how).model.head.classifier.weight for how in ({}, {"adapter": "lora"})]
    assert torch.equal(*heads)


def test_its_rate_is_its_own_unless_another_is_given(make, reviews):
    for given, rate in ((None, 2e-3), ({"layers": (0, 1)}, 2e-3), ({"lr": 1e-3}, 1e-3)):
        learn = make(reviews, adapter="lora", schedule=given)
        assert {phase.lr for phase in kickbert.gradual_unfreezing(4, **learn.schedule)} == {rate}


def test_a_saved_adapter_learner_is_an_artifact_like_any_other_and_the_learner_trains_on(make, reviews, tmp_path):
    learn = make(reviews, adapter="lora")
    learn.fit_gradual(PHASES)
    folder = learn.save_artifact(tmp_path / "k")
    probs = learn.predict_proba(reviews["text"].tolist())
    assert {p.name for p in folder.iterdir()} == {
        p.name for p in make(reviews).save_artifact(tmp_path / "plain").iterdir()
    }
    model = kickbert.load(folder, backend="torch")
    np.testing.assert_allclose(model.predict_proba(reviews), probs, atol=1e-5)
    before = weights(learn)
    learn.fit_gradual(PHASES[1:2])
    assert any("lora_B" in name for name in changed(learn, before))
