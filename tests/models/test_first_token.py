"""A last layer that computes only the first token gives the same state for less work."""

import pytest
import torch
from helpers.encoders import padded_batch, random_encoder
from torch.utils.flop_counter import FlopCounterMode

from kickbert.models.first_token import FIRST_TOKEN


@pytest.mark.parametrize("kind", FIRST_TOKEN)
def test_the_first_token_equals_that_of_the_full_layer(kind):
    encoder, (ids, mask) = random_encoder(kind), padded_batch()
    with torch.no_grad():
        states, whole = encoder.prefix(ids, mask, 3), encoder(ids, mask)

    def run(first: bool) -> tuple[list[torch.Tensor], int]:
        encoder.zero_grad()
        with FlopCounterMode(display=False) as counted:
            hidden = encoder.suffix(states, mask, 3, first=first)
            (hidden[:, 0] ** 3).sum().backward()
        assert hidden.shape[1] == (1 if first else ids.shape[1])
        return [hidden[:, 0], *(p.grad for p in encoder.parameters() if p.grad is not None)], counted.get_total_flops()

    (full, work), (single, less) = run(first=False), run(first=True)
    assert len(full) == len(single) >= 17 and less < 0.5 * work
    for ours, theirs in zip(single, full, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(encoder(ids, mask, first=True)[:, 0], whole[:, 0], rtol=1e-5, atol=1e-6)
        assert torch.equal(encoder(ids, mask), whole)  # the layer is left as it was


def test_other_layers_compute_all_tokens():
    ids, mask = padded_batch()
    for encoder in (random_encoder("deberta"), random_encoder("bert", chunk_size_feed_forward=1)):
        with torch.no_grad():
            assert torch.equal(encoder(ids, mask, first=True), encoder(ids, mask))
