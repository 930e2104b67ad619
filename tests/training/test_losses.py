"""Losses: their values, their decisions, and their interface for fastai."""

import pickle

import numpy as np
import pytest
import torch
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import TensorBase, TensorCategory
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.models.head import Corn
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.training.losses import LOSSES, Asymmetric, Focal, loss_for, median_class

LOGITS, CODES = torch.randn(6, 3), torch.tensor([0, 1, 2, 1, 0, 2])


def test_cross_entropy_is_fastais_on_plain_tensors():
    logits, targets = TensorBase(LOGITS), TensorCategory(CODES)
    ours, theirs = loss_for(Labels), CrossEntropyLossFlat()
    assert torch.equal(ours(logits, targets), theirs(logits, targets))
    assert type(ours(logits, targets)) is torch.Tensor
    assert torch.equal(ours.activation(logits), theirs.activation(logits))
    assert torch.equal(ours.decodes(logits), theirs.decodes(logits))
    ours.reduction = theirs.reduction = "none"  # as get_preds(with_loss=True) sets it
    assert torch.equal(ours(logits, targets), theirs(logits, targets))


@pytest.mark.parametrize("kind", [Labels, OrderedLabels, MultiLabels, Continuous])
def test_every_loss_is_finite_has_gradients_and_is_least_where_it_is_right(kind):
    for name in LOSSES[kind]:
        loss = loss_for(kind, name)
        if kind is MultiLabels:
            truth = (torch.arange(12).reshape(4, 3) % 2).float()
            right = (truth * 2 - 1) * 8
        elif kind is Continuous:
            truth = torch.randn(5)
            right = truth[:, None]
        else:
            truth, right = CODES, F.one_hot(CODES, 3) * 16.0
        wrong = torch.randn(right.shape, generator=torch.manual_seed(0)).requires_grad_()
        value = loss(wrong, truth)
        value.backward()
        assert value.isfinite() and wrong.grad.isfinite().all(), name
        assert loss(right, truth) < value, name
        extreme = loss(torch.full(right.shape, 80.0), truth)
        assert extreme.isfinite(), name
        loss.reduction = "none"
        assert loss(wrong, truth).mean().item() == pytest.approx(value.item(), rel=1e-5), name
        assert pickle.loads(pickle.dumps(loss))(wrong, truth).shape == loss(wrong, truth).shape


def test_weights_count_rows_and_labels():
    weight = torch.tensor([1.0, 5.0, 1.0])
    plain, heavy = loss_for(Labels, "focal"), loss_for(Labels, "focal", weight)
    plain.reduction = heavy.reduction = "none"
    assert torch.allclose(heavy(LOGITS, CODES), plain(LOGITS, CODES) * weight[CODES])
    truth = (torch.arange(18).reshape(6, 3) % 2).float()
    for name in LOSSES[MultiLabels]:
        plain, heavy = loss_for(MultiLabels, name), loss_for(MultiLabels, name, weight)
        plain.reduction = heavy.reduction = "none"
        assert torch.allclose(heavy(LOGITS, truth), plain(LOGITS, truth) * (1 + truth * (weight - 1)), atol=1e-6), name


def test_asymmetric_is_the_papers_formula():
    loss = Asymmetric(positive=1, negative=4, clip=0.05)
    p = torch.tensor([0.3, 0.02]).logit()
    yes = -(1 - 0.3) * np.log(0.3)
    no = -((0.3 - 0.05) ** 4) * np.log(1 - (0.3 - 0.05))
    assert loss(p[:1], torch.ones(1)).item() == pytest.approx(yes, rel=1e-5)
    assert loss(p[:1], torch.zeros(1)).item() == pytest.approx(no, rel=1e-5)
    assert loss(p[1:], torch.zeros(1)).item() == 0  # easier than the clip


def corn_loss(logits: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
    """CORN's loss as the paper writes it (Shi, Cao and Raschka 2021, equation 6), per row of the batch."""
    total = 0.0
    for k in range(logits.shape[1]):
        inside = ranks > k - 1  # the rows that reach rank k
        above = (ranks[inside] > k).float()
        total = total + F.binary_cross_entropy_with_logits(logits[inside, k], above, reduction="sum")
    return total / len(ranks)


@given(st.integers(2, 6), st.integers(0, 100))
def test_cross_entropy_of_corns_probabilities_is_corns_loss(classes, seed):
    torch.manual_seed(seed)
    logits, ranks = torch.randn(8, classes - 1) * 3, torch.randint(classes, (8,))
    log_probs = Corn()(logits)
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(8), atol=1e-5)
    assert loss_for(OrderedLabels)(log_probs, ranks).item() == pytest.approx(corn_loss(logits, ranks).item(), rel=1e-4)
    loss = loss_for(OrderedLabels)
    decided = loss.decodes(loss.activation(log_probs))
    above = logits.sigmoid().cumprod(-1)  # P(y > k)
    assert torch.equal(decided, (above > 0.5).sum(-1))


def test_a_miss_by_one_costs_less_than_by_three():
    sure = Corn()(torch.tensor([[-4.0, -2.0, -2.0]]))  # the lowest of four
    costs = [loss_for(OrderedLabels)(sure, torch.tensor([k])).item() for k in range(4)]
    assert costs == sorted(costs) and costs[3] > costs[1] + 1


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda p: sum(p) > 0.1))
def test_the_median_has_half_on_both_sides(weights):
    probs = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    k = int(median_class(probs[None]))
    assert probs[:k].sum() <= 0.5 + 1e-9 and probs[k + 1 :].sum() <= 0.5 + 1e-9


def test_thresholds_one_for_all_or_one_for_each():
    loss, probs = loss_for(MultiLabels), torch.tensor([[0.4, 0.6], [0.6, 0.4]])
    assert loss.decodes(probs).tolist() == [[False, True], [True, False]]
    loss.thresh = np.array([0.3, 0.5])
    assert loss.decodes(probs).tolist() == [[True, True], [True, False]]


def test_custom_losses_get_the_decision_of_their_task():
    loss = loss_for(Labels, F.cross_entropy)
    assert torch.equal(loss(LOGITS, CODES), F.cross_entropy(LOGITS, CODES))
    assert loss.decodes(loss.activation(LOGITS)).tolist() == LOGITS.argmax(1).tolist()
    fastai = CrossEntropyLossFlat()
    assert loss_for(Labels, fastai) is fastai


@pytest.mark.parametrize(
    ("kind", "loss", "weight", "message"),
    [
        (Labels, "focl", None, "Did you mean 'focal'"),
        (MultiLabels, "cross_entropy", None, "losses for task 'multi-label'"),
        (Continuous, None, torch.ones(2), "class_weights need a named loss for classes"),
        (Labels, F.cross_entropy, torch.ones(2), "class_weights need a named loss"),
    ],
)
def test_bad_losses(kind, loss, weight, message):
    with pytest.raises(ValueError, match=message):
        loss_for(kind, loss, weight)


class Module(torch.nn.Module):
    def forward(self, logits, targets):
        return F.cross_entropy(logits, targets)


@pytest.mark.parametrize(
    "function",
    [F.cross_entropy, torch.nn.CrossEntropyLoss(), Focal(0.0), Module(), lambda x, y: F.cross_entropy(x, y)],
)
def test_any_function_gives_the_loss_of_each_row(function):
    loss = loss_for(Labels, function)
    each = F.cross_entropy(LOGITS, CODES, reduction="none")
    assert torch.allclose(loss(LOGITS, CODES), each.mean())
    loss.reduction = "none"  # as fastai's Interpretation sets it
    assert torch.allclose(loss(LOGITS, CODES), each)
    loss.reduction = "mean"
    assert torch.allclose(loss(LOGITS, CODES), each.mean())
