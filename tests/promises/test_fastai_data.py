"""fastai's documentation, "Data core" and "Data block": the DataLoaders of a learner."""

import pytest
import torch
from fastai.data.core import DataLoaders


def test_they_are_dataloaders_of_two_parts(trained):
    dls = trained.dls
    assert isinstance(dls, DataLoaders) and dls.train is dls[0] and dls.valid is dls[1]
    assert (len(dls.train_ds), len(dls.valid_ds), dls.n_inp) == (102, 18, 1)


def test_vocab_and_number_of_classes(trained):
    assert list(trained.dls.vocab) == ["bad", "good"] and trained.dls.c == 2


def test_one_batch_is_tokens_and_codes(trained):
    x, y = trained.dls.one_batch()
    assert x.shape[0] == y.shape[0] == trained.dls.bs == 16 and x.dtype == y.dtype == torch.int64


def test_an_item_is_tokens_and_a_code(trained):
    x, y = trained.dls.valid_ds[0]
    assert x.ndim == 1 and trained.dls.vocab[int(y)] == trained.dls.valid_ds.items[0].target


def test_a_batch_is_decoded_to_texts_and_labels(trained):
    batch = trained.dls.valid.one_batch()
    text, label = trained.dls.decode_batch(batch)[0]
    assert text in {row.text for row in trained.dls.valid_ds.items} and label in ("bad", "good")


def test_show_batch_prints(trained, capsys):
    trained.dls.show_batch(max_n=2)
    assert capsys.readouterr().out.split()[:2] == ["text", "target"]


def test_a_loader_can_be_copied_with_another_size(trained):
    assert len(trained.dls.valid.new(bs=5)) == 4


def test_every_training_row_comes_once_an_epoch(trained):
    assert sum(len(y) for _, y in trained.dls.train) == 102


def test_test_dl_takes_labels(trained):
    import pandas as pd

    df = pd.DataFrame({"text": ["a real bore", "great fun"], "label": ["bad", "good"]})
    _, codes = trained.get_preds(dl=trained.dls.test_dl(df, with_labels=True))
    assert codes.tolist() == [0, 1]
    with pytest.raises(ValueError, match="ugly"):
        trained.dls.test_dl(df.assign(label="ugly"), with_labels=True)


def test_it_is_on_the_models_device(trained):
    assert trained.dls.device == next(trained.model.parameters()).device
