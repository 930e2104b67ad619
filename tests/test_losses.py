"""Losses: their numbers, and what fastai expects of them."""

import torch
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import TensorBase, TensorCategory

from kickbert.losses import CrossEntropy


def test_cross_entropy_is_fastais_on_plain_tensors():
    logits, targets = TensorBase(torch.randn(5, 3)), TensorCategory(torch.tensor([0, 1, 2, 1, 0]))
    ours, theirs = CrossEntropy(), CrossEntropyLossFlat()
    assert torch.equal(ours(logits, targets), theirs(logits, targets))
    assert type(ours(logits, targets)) is torch.Tensor
    assert torch.equal(ours.activation(logits), theirs.activation(logits))
    assert torch.equal(ours.decodes(logits), theirs.decodes(logits))
    ours.reduction = theirs.reduction = "none"  # as get_preds(with_loss=True) sets it
    assert torch.equal(ours(logits, targets), theirs(logits, targets))
