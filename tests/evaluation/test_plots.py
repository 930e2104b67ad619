"""Pictures hold what they say; also of thirty classes, of several labels, and on a given axis."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from kickbert.data.exploration_report import plot_classes
from kickbert.evaluation.attribution import plot_attention
from kickbert.evaluation.calibration import coverage
from kickbert.evaluation.plots import (
    plot_calibration,
    plot_confusion,
    plot_coverage,
    plot_precision_recall,
    plot_roc,
    plot_values,
)
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.probing import plot_probe
from kickbert.experiments.plots import plot_learning_curves, plot_sizes
from kickbert.targets.fitting import fit_target


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def made(classes: int, rows: int = 400) -> Predictions:
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, classes, rows)
    probs = rng.dirichlet(np.ones(classes), rows)
    probs[np.arange(rows), y_true] += 0.5
    return Predictions.from_probabilities(y_true, probs / probs.sum(1, keepdims=True))


ALL = [plot_confusion, plot_roc, plot_precision_recall, plot_calibration]


@pytest.mark.parametrize("plot", ALL)
@pytest.mark.parametrize("classes", [2, 8, 30])
def test_any_number_of_classes(plot, classes, tmp_path):
    figure = plot(made(classes))
    figure.savefig(tmp_path / "p.png")
    assert figure.axes[0].get_title(loc="left")
    legend = figure.axes[0].get_legend()
    assert legend is None or len(legend.get_texts()) <= 8
    _, ax = plt.subplots()
    assert plot(made(classes), ax=ax) is ax.figure


def test_cells_of_the_confusion_matrix():
    found = Predictions.from_probabilities([0, 0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
    texts = [t.get_text() for t in plot_confusion(found).axes[0].texts]
    assert texts == ["2", "1", "", "1"]
    texts = [t.get_text() for t in plot_confusion(found, rates=True).axes[0].texts]
    assert texts == ["67%", "33%", "", "100%"]


def test_several_labels_numbers_and_no_truth():
    rng = np.random.default_rng(0)
    several = Predictions.from_probabilities(rng.integers(0, 2, (50, 3)), rng.random((50, 3)))
    for plot in (plot_roc, plot_precision_recall, plot_calibration):
        plot(several)
    with pytest.raises(ValueError, match="several labels a row"):
        plot_confusion(several)
    number = fit_target(pd.Series([1.0, 2.0, 5.0], name="price"), task="regression")
    found = Predictions(number, np.zeros((3, 1)), np.zeros((3, 1)), np.zeros(3))
    assert "price" in plot_values(found).axes[0].get_xlabel()
    with pytest.raises(ValueError, match="regression task have no classes"):
        plot_roc(found)
    with pytest.raises(ValueError, match="have no true numbers"):
        plot_values(several)


def test_one_class_alone_draws_no_curve():
    figure = plot_roc(Predictions.from_probabilities([0, 0], [[0.9, 0.1], [0.6, 0.4]]))
    assert figure.axes[0].get_legend() is None


def test_coverage_classes_sizes_and_probes():
    plot_coverage(coverage(made(3)))
    bars = plot_classes(pd.Series(range(1, 41), index=[f"class {i}" for i in range(40)])).axes[0]
    assert len(bars.patches) == 30 and "30 largest of 40" in bars.get_xlabel()
    table = pd.DataFrame({"rows": [100, 100, 1000], "accuracy": [0.5, 0.6, 0.8]})
    line = plot_sizes(table).axes[0].lines[0]
    assert line.get_ydata().tolist() == [0.55, 0.8]
    probes = pd.DataFrame({"depth": [0, 1, 2], "accuracy": [0.5, 0.6, 0.7], "std error": [0.01] * 3})
    ax = plot_probe(probes, label="sst2").axes[0]
    plot_probe(probes, ax=ax, label="kickstarter", line=1)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["sst2", "kickstarter"]


def test_learning_curves_of_all_fits(make, reviews):
    learn = make(reviews)
    with pytest.raises(ValueError, match="was not trained yet"):
        plot_learning_curves(learn)
    learn.fit_gradual()
    figure = plot_learning_curves(learn)
    steps = sum(len(fit.losses) for fit in learn.history.fits)
    assert steps == sum(len(line.get_xdata()) for line in figure.axes[0].lines if line.get_linestyle() == "-")
    titles = [t.get_text() for t in figure.axes[0].texts]
    assert titles[0].startswith("1/2 head") and len(titles) == 2
    learn.lr_find(show_plot=False)
    learn.validate()
    learn.predict_df(reviews)
    assert len(learn.history.fits) == 2
    with pytest.raises(ValueError, match="metric='f2' is not among"):
        plot_learning_curves(learn, "f2")


def test_attention(make, reviews):
    learn = make(reviews)
    ax = plot_attention(learn, "a bright, warm film", layer=0, head=1).axes[0]
    assert "layer 1, head 2" in ax.get_title(loc="left") and ax.get_xticklabels()[0].get_text() == "<s>"
    with pytest.raises(ValueError, match="2 layers of 4 heads"):
        plot_attention(learn, "a film", layer=5)


def test_probes_of_each_depth(make, reviews):
    from kickbert.evaluation import probe

    table = probe(make(reviews))
    assert table["depth"].tolist() == [0, 1, 2] and (table["accuracy"] > 0.8).all()
    with pytest.raises(ValueError, match="one class a row"):
        probe(make(reviews.assign(label=[["x", label] for label in reviews["label"]])))
