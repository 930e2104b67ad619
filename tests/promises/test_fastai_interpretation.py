"""fastai's documentation, "Interpretation"."""

import pytest
import torch
from fastai.interpret import ClassificationInterpretation, Interpretation


@pytest.fixture(scope="module")
def interpretation(trained):
    return ClassificationInterpretation.from_learner(trained)


def test_the_confusion_matrix_counts_each_row(interpretation, trained):
    matrix, (probs, codes) = interpretation.confusion_matrix(), trained.get_preds()
    assert matrix.sum() == 18 and matrix.trace() == (probs.argmax(1) == codes).sum()


def test_most_confused_are_pairs_of_classes(interpretation):
    matrix = interpretation.confusion_matrix()
    assert sum(count for *_, count in interpretation.most_confused()) == matrix.sum() - matrix.trace()


def test_top_losses_are_sorted_and_of_their_rows(interpretation, trained):
    losses, rows = interpretation.top_losses()
    probs, codes = trained.get_preds()
    assert torch.equal(losses.sort(descending=True)[0], losses)
    assert torch.allclose(losses, -probs[rows, codes[rows]].log(), atol=1e-5)


def test_the_smallest_losses(interpretation):
    assert interpretation.top_losses(1, largest=False)[0] == interpretation.losses.min()


def test_top_losses_with_items(interpretation, trained):
    _, rows, items = interpretation.top_losses(2, items=True)
    assert [row.text for row in items] == [trained.dls.valid_ds.items[int(i)].text for i in rows]


def test_plots_and_reports(interpretation, capsys):
    interpretation.plot_confusion_matrix()
    interpretation.print_classification_report()
    interpretation.plot_top_losses(2)
    shown = capsys.readouterr().out
    assert "macro avg" in shown and "good" in shown


def test_of_training_rows(trained):
    assert len(Interpretation.from_learner(trained, ds_idx=0).losses) == 102
