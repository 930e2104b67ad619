"""Fits are recorded, without lr_find and validation."""

import numpy as np
from fastai.callback.progress import ShowGraphCallback

from kickbert import Phase


def test_the_history_holds_each_fit(make, reviews):
    learn = make(reviews)
    learn.fit_gradual([Phase("head", 3, 1, 1e-3), Phase("last layer", 2, 2, 1e-3, decay=0.5)])
    learn.lr_find(num_it=5, show_plot=False)
    learn.validate()
    first, second = learn.history.fits  # neither lr_find nor validation is a fit
    steps = len(learn.dls.train)
    assert [first.title, second.title] == ["1/2 head", "2/2 last layer"]
    assert [len(fit.losses) for fit in (first, second)] == [len(first.rates), len(second.rates)] == [steps, 2 * steps]
    assert second.groups == ["layer 2", "head"] and second.shares == [0.5, 1.0]
    assert second.names == ["train_loss", "valid_loss", "accuracy", "macro-F1"] and np.shape(second.values) == (2, 4)


def test_a_graph_is_not_drawn_where_nobody_watches(make, reviews):
    learn = make(reviews)
    learn.fit(2, 1e-3, cbs=ShowGraphCallback())
    with learn.no_bar():
        learn.fit(1, 1e-3)
    assert learn.progress.name == "progress" and len(learn.history.fits) == 2
