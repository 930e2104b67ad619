"""Plots of training: ladder, learning curves, scores by number of rows; names are drawn literally."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from kickbert.experiments import plot_ladder, plot_learning_curves, plot_sizes
from kickbert.experiments.plots import smoothed

LADDER = pd.DataFrame(
    {"phase": ["head", "last 2 layers"], "epochs": [1, 2], "seconds": [1.2, 33.0], "accuracy": [0.4, 0.55]}
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_ladder_has_a_bar_per_phase_and_a_line_per_baseline(tmp_path):
    figure = plot_ladder(LADDER, {"TF-IDF": 0.45, "majority": 0.25})
    ax = figure.axes[0]
    assert [bar.get_height() for bar in ax.patches] == [0.4, 0.55]
    assert sorted(line.get_ydata()[0] for line in ax.lines) == [0.25, 0.45]
    texts = [t.get_text() for t in ax.texts]
    assert {"40.0%", "+15.0 points", " TF-IDF 45.0%"} <= set(texts)
    assert min(t.get_zorder() for t in ax.texts) > max(line.get_zorder() for line in ax.lines)  # no line crosses text
    assert [t.get_text() for t in ax.get_xticklabels()] == ["head\n1 epoch, 1 s", "last 2 layers\n2 epochs, 33 s"]
    figure.savefig(tmp_path / "ladder.png")
    assert (tmp_path / "ladder.png").stat().st_size > 5_000


def test_a_phase_without_validation_rows_has_no_gain():
    texts = [t.get_text() for t in plot_ladder(LADDER.assign(accuracy=[float("nan"), 0.5])).axes[0].texts]
    assert not any("points" in text for text in texts)


def test_the_ladder_is_drawn_on_existing_axes_and_an_unknown_metric_is_an_error():
    figure, ax = plt.subplots()
    assert plot_ladder(LADDER, ax=ax) is figure
    with pytest.raises(ValueError, match="metric='f1' is not a column of the ladder"):
        plot_ladder(LADDER, metric="f1", ax=ax)


def test_names_with_mathtext_characters_are_drawn_literally():
    ladder = LADDER.assign(phase=[r"$\frac$", "a_b^c"]).rename(columns={"accuracy": "$m$"})
    ax = plot_ladder(ladder, {r"$\sqrt$": 0.45}, metric="$m$").axes[0]
    ax.figure.canvas.draw()  # raises an error on invalid mathtext
    assert ax.get_xticklabels()[0].get_text().startswith(r"\$\frac\$") and r"\$\sqrt\$" in ax.texts[-1].get_text()


def test_sizes_have_mean_and_standard_deviation():
    table = pd.DataFrame({"rows": [100, 100, 1000], "accuracy": [0.5, 0.6, 0.8]})
    ax = plot_sizes(table).axes[0]
    assert ax.lines[0].get_ydata().tolist() == [0.55, 0.8]
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        "100",
        "1,000",
    ] and ax.get_xlabel() == "number of training rows"
    with pytest.raises(ValueError, match="metric='f1' is not a column of the table"):
        plot_sizes(table, "f1")


def test_losses_are_smoothed_with_a_centered_mean():
    assert smoothed([1.0, 2.0, 6.0], share=1.0).tolist() == pytest.approx([1.5, 3.0, 4.0])
    assert smoothed([1.0, 2.0, 6.0]).tolist() == [1.0, 2.0, 6.0]  # a window of one step


def test_learning_curves_of_all_fits(make, reviews):
    learn = make(reviews)
    with pytest.raises(ValueError, match="has not been trained"):
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
    with pytest.raises(ValueError, match="metric='f2' was not recorded"):
        plot_learning_curves(learn, "f2")
