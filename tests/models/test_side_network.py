"""The side network: tapped states at every depth, frozen or not, cached or not; artifact and resumed runs."""

import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from helpers.encoders import padded_batch, random_encoder

import kickbert
from kickbert.models.classifier import ProbabilityModel, TextClassifier
from kickbert.models.head import Head
from kickbert.models.hf_conversion import why_not_portable
from kickbert.models.side_network import tapped_depths
from kickbert.targets.fitting import fit_target
from kickbert.targets.labels import Labels
from kickbert.training.presets import preset


def classifier(kind: str = "bert", pooling: str = "mean") -> TextClassifier:
    torch.manual_seed(0)
    encoder = random_encoder(kind)
    model = TextClassifier(encoder, Head(encoder.width, 3, pooling)).eval()
    model.use_side(True)
    torch.nn.init.normal_(model.head.side.classifier.weight)
    return model


def ids() -> torch.Tensor:
    tokens, mask = padded_batch()
    return tokens.masked_fill(~mask, -1)


@pytest.mark.parametrize(("layers", "taps"), [(1, ()), (2, (1,)), (6, (2, 4)), (12, (4, 8)), (24, (8, 16))])
def test_taps_scale_with_the_encoder(layers, taps):
    assert tapped_depths(layers) == taps


def test_a_new_side_network_changes_no_prediction():
    model = classifier()
    model.use_side(False)
    before = model(ids())
    model.use_side(True)
    assert torch.allclose(model(ids()), before, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2", "modernbert", "longformer", "distilbert", "albert"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_freezing_any_part_changes_no_number(kind, pooling):
    model = classifier(kind, pooling)
    expected = model(ids()).detach()
    for depth in range(model.encoder.n_layers + 1):
        for number, group in enumerate(model.groups().values()):
            for p in group:
                p.requires_grad_(number > depth)
        model.eval()
        assert torch.allclose(model(ids()), expected, atol=1e-4), depth


def test_padding_changes_no_number():
    model = classifier()
    wide = torch.nn.functional.pad(ids(), (0, 5), value=-1)
    assert torch.allclose(model(wide), model(ids()), atol=1e-5)


def test_gradients_reach_the_side_network_and_not_the_frozen_encoder():
    model = classifier()
    for p in model.encoder.parameters():
        p.requires_grad_(False)
    model.train()
    model(ids()).sum().backward()
    assert all(p.grad is not None for p in model.head.side.parameters())
    assert all(p.grad is None for p in model.encoder.parameters())


def test_the_exported_network_computes_the_same_probabilities():
    model = classifier()
    tokens, mask = padded_batch()
    network = ProbabilityModel(model, Labels).eval()
    assert torch.allclose(network(tokens, mask.long()), model(ids()).softmax(-1), atol=1e-5)


def test_its_states_come_from_one_pass_and_are_the_same_without_the_cache(make, reviews):
    ladders = []
    for cache in (kickbert.Cache(), False):
        learn = make(reviews, cache=cache, dropout=0.0)
        ladders.append(learn.fit_gradual("fast"))
        if cache:
            assert learn.cache.info()["depth"].tolist() == [1, 2]
    assert ladders[0]["valid_loss"].tolist() == pytest.approx(ladders[1]["valid_loss"].tolist(), abs=1e-3)


def test_without_room_for_its_states_they_are_computed_in_each_epoch(make, reviews, capsys):
    cached = make(reviews, dropout=0.0).fit_gradual("fast")
    capsys.readouterr()
    ladder = make(reviews, dropout=0.0, cache=kickbert.Cache(memory=0, disk=0)).fit_gradual("fast")
    assert capsys.readouterr().out.count("the frozen part is computed in each epoch") == 1
    assert ladder["valid_loss"].tolist() == pytest.approx(cached["valid_loss"].tolist(), abs=1e-3)


def test_documents_in_windows_have_the_features_of_all_windows(make, reviews):
    learn = make(reviews, long="windows", max_length=8, stride=2)
    ladder = learn.fit_gradual("fast")
    assert ladder["phase"].tolist() == ["head", "side network"] and learn.get_preds()[0].shape == (18, 2)


def test_an_artifact_keeps_it(make, reviews, tmp_path):
    learn = make(reviews)
    learn.fit_gradual("fast")
    torch.nn.init.normal_(learn.model.head.side.classifier.weight)
    folder = learn.save_artifact(tmp_path / "model")
    expected = learn.predict_df(reviews).filter(like="prob_")
    loaded = kickbert.load(folder).predict_df(reviews).filter(like="prob_")
    assert (loaded - expected).abs().max().max() < 1e-5
    more = kickbert.learner_from_artifact(folder, reviews, path=tmp_path)
    assert (more.predict_df(reviews).filter(like="prob_") - expected).abs().max().max() < 1e-5


def test_a_run_that_is_killed_in_a_later_phase_resumes_with_it(make, reviews):
    def run(learn, **kwargs):
        phases = [*preset("fast", 4, {"steps": 40}), preset("balanced", 4, {"steps": 40})[1]]
        return learn.fit_gradual(phases, **kwargs)

    whole = make(reviews)
    expected = run(whole).drop(columns="seconds")
    for number in (2, 3):
        learn = make(reviews)

        def kill(learn=learn, number=number):
            if learn.phase_title.startswith(f"{number}/"):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(learn, cbs=[Killing(kill)], name="x")
        again = make(reviews)
        assert run(again, resume=True, cbs=[Killing(lambda: None)], name="x").drop(columns="seconds").equals(expected)
        assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), whole.model.parameters(), strict=True))
    assert whole.model.head.side is None  # the last phase removed it


class Killing(Callback):
    """Call a function before each training batch."""

    def __init__(self, action):
        self.action = action

    def before_batch(self):
        if self.training:
            self.action()


def test_transformers_cannot_express_it():
    target = fit_target(pd.Series(["a", "b", "a"]))
    assert why_not_portable("bert", classifier(pooling="cls").head, target, False) == "has no side network"
