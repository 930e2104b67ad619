"""Dropout with masks from random bytes."""

import pytest
import torch
from torch import nn

from kickbert.models.dropout import Dropout, keep_mask, use_dropout
from kickbert.models.encoder import load_encoder


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
def test_units_are_kept_independently_with_the_given_probability(p):
    torch.manual_seed(0)
    keep, share = keep_mask((64, 9_999), p)
    assert keep.shape == (64, 9_999) and abs(share - (1 - p)) <= 1 / 512
    assert keep.float().mean() == pytest.approx(share, abs=0.003)
    assert keep.float().mean(0).std() == pytest.approx((share * (1 - share) / 64) ** 0.5, rel=0.05)
    both = (keep[:, 1:] & keep[:, :-1]).float().mean()  # neighbors come from one draw
    assert both == pytest.approx(share**2, abs=0.003)


def test_the_mean_stays_and_the_gradient_has_the_mask():
    torch.manual_seed(0)
    x = torch.ones(1000, 100, requires_grad=True)
    y = Dropout(0.1)(x)
    y.sum().backward()
    assert y.mean().item() == pytest.approx(1, abs=0.01) and torch.equal(x.grad, y)


def test_nothing_is_dropped_in_evaluation_or_at_zero():
    x = torch.randn(5, 5)
    assert torch.equal(Dropout(0.5).eval()(x), x) and torch.equal(Dropout(0.0)(x), x)


def test_the_seed_decides():
    torch.manual_seed(7)
    first = Dropout(0.3)(torch.ones(100))
    torch.manual_seed(7)
    assert torch.equal(Dropout(0.3)(torch.ones(100)), first)


def test_an_encoder_drops_when_asked_to(tiny):
    ids, mask = torch.randint(5, 90, (2, 9)), torch.ones(2, 9).bool()
    plain, dropping = load_encoder(tiny).train(), load_encoder(tiny, dropout=0.2).train()
    assert torch.equal(plain(ids, mask), plain(ids, mask))
    assert not torch.equal(dropping(ids, mask), dropping(ids, mask))
    kinds = {type(m) for m in dropping.modules() if isinstance(m, nn.Dropout)}
    assert kinds == {Dropout} and {m.p for m in dropping.modules() if isinstance(m, Dropout)} == {0.2}
    with pytest.raises(ValueError, match=r"encoder_dropout=1.5 is not between"):
        load_encoder(tiny, dropout=1.5)


def test_nested_dropouts_are_replaced():
    net = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3)))
    use_dropout(net)
    assert [m.p for m in net.modules() if isinstance(m, Dropout)] == [0.1, 0.3]
