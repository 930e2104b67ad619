"""fastai's documentation, "Interpretation"."""

import pytest
import torch
from fastai.interpret import ClassificationInterpretation, Interpretation


@pytest.fixture(scope="module")
def found(trained):
    return ClassificationInterpretation.from_learner(trained)


def test_the_confusion_matrix_counts_each_row(found, trained):
    matrix, (probs, codes) = found.confusion_matrix(), trained.get_preds()
    assert matrix.sum() == 18 and matrix.trace() == (probs.argmax(1) == codes).sum()


def test_most_confused_are_pairs_of_classes(found):
    matrix = found.confusion_matrix()
    assert sum(count for *_, count in found.most_confused()) == matrix.sum() - matrix.trace()


def test_top_losses_are_sorted_and_of_their_rows(found, trained):
    losses, rows = found.top_losses()
    probs, codes = trained.get_preds()
    assert torch.equal(losses.sort(descending=True)[0], losses)
    assert torch.allclose(losses, -probs[rows, codes[rows]].log(), atol=1e-5)


def test_the_smallest_losses(found):
    assert found.top_losses(1, largest=False)[0] == found.losses.min()


def test_top_losses_with_items(found, trained):
    _, rows, items = found.top_losses(2, items=True)
    assert [row.text for row in items] == [trained.dls.valid_ds.items[int(i)].text for i in rows]


def test_plots_and_reports(found, capsys):
    found.plot_confusion_matrix()
    found.print_classification_report()
    found.plot_top_losses(2)
    shown = capsys.readouterr().out
    assert "macro avg" in shown and "good" in shown


def test_of_training_rows(trained):
    assert len(Interpretation.from_learner(trained, ds_idx=0).losses) == 102
