"""Offsets of a batch's rows are added to its logits, whatever the order of the rows."""

import numpy as np
import torch
from helpers.campaigns import BESIDE, campaigns

from kickbert.training.column_offsets import ColumnOffsets, OffsetLoss


def test_without_the_callback_the_columns_say_nothing(make):
    df = campaigns(80)
    learn = make(df, **BESIDE)
    with_columns = learn.get_preds()[0]
    learn.remove_cbs(ColumnOffsets)
    alone = learn.get_preds()[0]
    shifted = learn.target.shift(alone.numpy(), learn.dls.valid.offsets.numpy())
    assert np.allclose(with_columns.numpy(), shifted, atol=1e-6) and not np.allclose(with_columns, alone, atol=0.01)


def test_a_loss_of_logits_with_offsets():
    logits, codes, offsets = torch.zeros(2, 3), torch.tensor([0, 2]), torch.eye(3)[[0, 2]] * 5
    loss = torch.nn.CrossEntropyLoss()
    assert OffsetLoss(loss)(logits, codes, offsets) == loss(offsets, codes)


def test_a_sample_of_the_rows_keeps_its_offsets(make):
    learn = make(campaigns(80), **BESIDE)
    whole = learn.dls.train
    part = whole.some_rows(20, seed=0)
    key = dict(zip(whole.rows[0].document_keys, whole.offsets, strict=True))
    assert all(torch.equal(key[k], o) for k, o in zip(part.rows[0].document_keys, part.offsets, strict=True))
