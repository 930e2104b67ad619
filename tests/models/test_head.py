import pytest
import torch

from kickbert.models.head import POOLINGS, Head


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layers", [1, 2])
def test_what_stands_at_masked_places_does_not_matter(pooling, layers):
    head = Head(8, 4, pooling, layers=layers).eval()
    hidden, mask = torch.randn(2, 5, 8), torch.tensor([[True] * 5, [True, True, False, False, False]])
    changed = hidden.masked_fill(~mask.unsqueeze(-1), 1e4)
    assert head(hidden, mask).shape == (2, 4)
    assert torch.equal(head(hidden, mask), head(changed, mask)) or torch.allclose(
        head(hidden, mask), head(hidden * mask.unsqueeze(-1), mask)
    )


def test_poolings_give_what_their_names_say():
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
