import pandas as pd
import pytest
from matplotlib import pyplot as plt

from kickbert.experiments import plot_ladder

LADDER = pd.DataFrame(
    {"phase": ["head", "last 2 layers"], "epochs": [1, 2], "seconds": [1.2, 33.0], "accuracy": [0.4, 0.55]}
)


def test_a_bar_per_phase_a_line_per_baseline(tmp_path):
    figure = plot_ladder(LADDER, {"TF-IDF": 0.45, "majority": 0.25})
    ax = figure.axes[0]
    assert [bar.get_height() for bar in ax.patches] == [0.4, 0.55]
    assert sorted(line.get_ydata()[0] for line in ax.lines) == [0.25, 0.45]
    texts = [t.get_text() for t in ax.texts]
    assert "40.0%" in texts and " TF-IDF 45.0%" in texts
    assert [t.get_text() for t in ax.get_xticklabels()] == ["head\n1 epoch, 1 s", "last 2 layers\n2 epochs, 33 s"]
    figure.savefig(tmp_path / "ladder.png")
    assert (tmp_path / "ladder.png").stat().st_size > 5_000
    plt.close(figure)


def test_it_draws_on_a_given_axis_and_refuses_an_unknown_metric():
    figure, ax = plt.subplots()
    assert plot_ladder(LADDER, ax=ax) is figure
    with pytest.raises(ValueError, match="metric='f1' is not in the ladder; it has"):
        plot_ladder(LADDER, metric="f1", ax=ax)
    plt.close(figure)
