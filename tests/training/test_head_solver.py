"""The solved head: the optimum of the learner's own loss for each kind of target, and input that has no optimum."""

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from sklearn.linear_model import LogisticRegression

from kickbert.cache.storage import Cache
from kickbert.models.head import Head
from kickbert.targets.fitting import fit_target
from kickbert.training.guard import TrainingDiverged
from kickbert.training.head_solver import _minimize, solvable, solve
from kickbert.training.losses import loss_for
from kickbert.training.presets import preset

RNG = np.random.default_rng(0)


def states(rows: int = 60, width: int = 8) -> torch.Tensor:
    return torch.from_numpy(RNG.normal(size=(rows, width)).astype(np.float32))


def solved(values: pd.Series, x: torch.Tensor, **options):
    target = fit_target(values, **options)
    head = Head(x.shape[1], len(target.names), "mean", ordinal=target.is_ordered).eval()
    codes = torch.from_numpy(target.encode(values))
    codes = codes.float() if target.is_number or target.is_multilabel else codes.long()
    loss = loss_for(target)
    value = solve(head, loss, [x, codes], np.random.default_rng(0))
    return target, head, codes, loss, float(value)


def test_it_is_scikit_learns_logistic_regression_of_standardized_states():
    x = states(200)
    y = (x[:, 0] + 0.5 * x[:, 1] > 0).long()
    weight, bias = _minimize(Head(8, 2, "mean"), torch.nn.functional.cross_entropy, [x, y], 0.01)
    theirs = LogisticRegression(C=1 / (2 * 0.01 * len(x)), tol=1e-8, max_iter=1000).fit(x.numpy(), y.numpy())
    # Two symmetric rows of weights penalize half as much as scikit-learn's single one.
    margin = (x @ weight.T + bias).diff(dim=1)[:, 0].detach().numpy()
    assert np.corrcoef(margin, theirs.decision_function(x.numpy()))[0, 1] > 0.999


@pytest.mark.parametrize(
    ("make", "options", "least"),
    [
        (lambda x: pd.Series(np.where(x[:, 0] > 0, "up", "down")), {}, 0.95),
        (lambda x: pd.Series([[n for n, v in zip("ab", row, strict=False) if v > 0] for row in x]), {}, 0.9),
        (lambda x: pd.Series(x[:, 0]), {"bins": 3}, 0.75),
    ],
    ids=["classes", "several labels", "ordered"],
)
def test_each_kind_of_target_is_solved_by_its_own_loss(make, options, least):
    x = states(120)
    _, head, codes, loss, value = solved(make(x.numpy()), x, **options)
    with torch.no_grad():
        logits = head.classify(x)
    assert value == pytest.approx(float(loss(logits, codes)), rel=1e-4)
    predicted = loss.decodes(loss.activation(logits))
    assert (predicted == codes).float().mean() > least


def test_a_number_is_solved_by_ridge_regression():
    x = states(200)
    *_, value = solved(pd.Series((x[:, 0] * 3 + 1).numpy() + 0.001), x, task="regression")
    assert value < 0.01


def test_class_weights_shift_the_optimum():
    x = states(200, 2)
    y = (x[:, 0] + states(200, 1)[:, 0] > 1).long()
    shares = []
    for weights in (None, torch.tensor([1.0, 10.0])):
        head = Head(2, 2, "mean").eval()
        solve(head, torch.nn.CrossEntropyLoss(weights), [x, y], np.random.default_rng(0))
        with torch.no_grad():
            shares.append(float(head.classify(x).argmax(1).float().mean()))
    assert shares[1] > shares[0] + 0.1


@pytest.mark.parametrize(
    "case", ["constant", "one class", "a class without rows", "more classes than rows", "two rows"]
)
def test_input_without_a_clear_optimum_gives_finite_weights(case):
    x, y, classes = states(30), torch.arange(30) % 3, 3
    if case == "constant":
        x = torch.ones(30, 8)
    elif case == "one class":
        y = torch.zeros(30, dtype=torch.long)
    elif case == "a class without rows":
        y = y % 2
    elif case == "more classes than rows":
        y, classes = torch.arange(30), 40
    else:
        x, y = x[:2], y[:2]
    head = Head(8, classes, "mean").eval()
    value = solve(head, torch.nn.functional.cross_entropy, [x, y], np.random.default_rng(0))
    assert torch.isfinite(value) and all(torch.isfinite(p).all() for p in head.parameters())


def test_states_that_are_not_finite_are_left_to_the_guard(make, reviews):
    learn = make(reviews)
    before = learn.model.head.classifier.weight.clone()
    with torch.no_grad():
        learn.model.encoder.layers[0].output.dense.weight[0, 0] = float("nan")
    with pytest.raises(TrainingDiverged, match="loss"):
        learn.fit_gradual([learn.phases()[0]])
    assert torch.equal(before, learn.model.head.classifier.weight)


def test_a_loss_that_is_not_finite_is_left_to_the_guard(make, reviews):
    def broken(logits, codes):
        return logits.sum() * float("nan")

    learn = make(reviews, loss=broken)
    before = learn.model.head.classifier.weight.clone()
    with pytest.raises(TrainingDiverged, match="loss"):
        learn.fit_gradual([learn.phases()[0]])
    assert torch.equal(before, learn.model.head.classifier.weight)


def test_the_first_phase_takes_no_step_and_uses_the_cached_states(make, reviews):
    learn, steps = make(reviews, cache=Cache()), []

    class Count(Callback):
        def before_batch(self):
            steps.append(self.training)

    ladder = learn.fit_gradual([learn.phases()[0]], cbs=[Count()])
    assert not any(steps) and ladder["accuracy"][0] > 0.9 and ladder["lr"][0] is None
    assert learn.cache.info()["depth"].tolist() == ["pooled"]


def test_solving_is_the_same_with_and_without_the_cache(make, reviews):
    probabilities = []
    for cache in (True, False):
        learn = make(reviews, cache=cache)
        learn.fit_gradual([learn.phases()[0]])
        probabilities.append(learn.get_preds()[0])
    assert torch.allclose(*probabilities, atol=1e-2)


@pytest.mark.parametrize("options", [{"head_layers": 2}, {"pooling": "attention"}])
def test_a_head_that_cannot_be_solved_takes_steps_until_it_has_converged(make, reviews, options):
    learn = make(reviews, **options)
    assert not solvable(learn.model.head)
    ladder = learn.fit_gradual(preset("balanced", len(learn.groups), {})[:1])
    assert 1 < ladder["epochs"][0] <= 20 and ladder["lr"][0] == 2e-3
