"""Poolings and heads."""

import pytest
import torch

from kickbert.models.head import ACTIVATIONS, POOLINGS, Corn, Head


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layers", [1, 2])
def test_masked_positions_do_not_matter(pooling, layers):
    head = Head(8, 4, pooling, layers=layers).eval()
    hidden, mask = torch.randn(2, 5, 8), torch.tensor([[True] * 5, [True, True, False, False, False]])
    changed = hidden.masked_fill(~mask.unsqueeze(-1), 1e4)
    assert head(hidden, mask).shape == (2, 4)
    assert torch.equal(head(hidden, mask), head(changed, mask)) or torch.allclose(
        head(hidden, mask), head(hidden * mask.unsqueeze(-1), mask)
    )


def test_poolings_match_their_names():
    hidden = torch.tensor([[[1.0, 6.0], [3.0, 2.0], [100.0, 100.0]]])
    mask = torch.tensor([[True, True, False]])
    pooled = {name: Head(2, 1, name).pool(hidden, mask)[0].tolist() for name in ("cls", "mean", "max")}
    assert pooled == {"cls": [1, 6], "mean": [2, 4], "max": [3, 6]}
    attention = Head(2, 1, "attention").pool
    torch.nn.init.zeros_(attention.score.weight)
    assert attention(hidden, mask)[0].tolist() == pytest.approx([2, 4])  # equal scores make it the mean


@pytest.mark.parametrize("bad", [{"pooling": "sum"}, {"dropout": 1.0}, {"layers": 3}])
def test_bad_heads(bad):
    with pytest.raises(ValueError, match="is not"):
        Head(8, 2, **bad)


def test_corn_computes_rank_probabilities():
    logits = torch.tensor([[0.5, -1.0, 2.0]])
    above = logits.sigmoid()[0]
    reached = torch.cat([torch.ones(1), above.cumprod(0)])
    expected = torch.cat([reached[:-1] * (1 - above), reached[-1:]])
    assert torch.allclose(Corn()(logits).exp()[0], expected) and expected.sum().item() == pytest.approx(1)
    assert Head(8, 4, ordinal=True).classifier.out_features == 3


def test_two_layers_have_the_activation_between_them():
    hidden, mask = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    outputs = []
    for activation in ACTIVATIONS:
        torch.manual_seed(0)
        outputs.append(Head(8, 4, layers=2, activation=activation).eval()(hidden, mask))
    assert not torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[1], outputs[2])
