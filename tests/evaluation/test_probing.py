"""Linear probes of each depth, and their plot."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from kickbert.evaluation import plot_probe, probe
from kickbert.evaluation.probing import states
from kickbert.text.tokenization import PAD


def test_each_depth_has_its_accuracy_and_standard_error(make, reviews):
    table = probe(make(reviews))
    assert table["depth"].tolist() == [0, 1, 2] and (table["accuracy"] > 0.8).all()
    rows = len(make(reviews).dls.valid_ds)
    error = np.sqrt(table["accuracy"] * (1 - table["accuracy"]) / rows)
    assert table["std error"].tolist() == pytest.approx(error.tolist())


def test_states_are_means_over_the_tokens_of_a_row(make, reviews):
    learn = make(reviews)
    ids, chosen = learn.dls.train.rows[0], np.array([3, 0, 7])
    means = states(learn.model, ids, chosen)
    assert means.shape == (3, 3, 32)
    row = ids.gather([3], fill=PAD).long()
    with torch.no_grad():
        hidden = learn.model.encoder(row, row != PAD)[0]
    assert np.allclose(means[2, 0], hidden.mean(0), atol=1e-4)


def test_unsupported_tasks(make, reviews):
    with pytest.raises(ValueError, match="one class per row, no windows, and validation rows; the task is multi-label"):
        probe(make(reviews.assign(label=[["x", label] for label in reviews["label"]])))


def test_two_tables_on_one_axis():
    table = pd.DataFrame({"depth": [0, 1, 2], "accuracy": [0.5, 0.6, 0.7], "std error": [0.01] * 3})
    ax = plot_probe(table, label="sst2").axes[0]
    plot_probe(table, ax=ax, label="$kick$starter", line=1)
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["sst2", r"\$kick\$starter"]
    assert "linear probes" in ax.get_title(loc="left")
    plt.close("all")
