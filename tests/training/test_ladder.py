"""The ladder: each phase has its rows and its optimizer state."""

import pytest
from fastai.callback.core import Callback

from kickbert import Phase


def test_a_phase_trains_on_its_number_of_rows(make, reviews):
    learn, seen = make(reviews), []

    class Watch(Callback):
        def before_batch(self):
            seen.append((self.training, self.learn.phase_title, len(self.xb[0])))

    ladder = learn.fit_gradual([Phase("head", 3, 2, 1e-3, rows=40), Phase("all", 1, 2, 1e-3)], cbs=[Watch()])
    assert ladder["rows"].tolist() == [40, 102] and len(learn.dls.train_ds) == 102 and learn.phase_title == ""
    assert sum(n for training, title, n in seen if training and title == "1/2 head") == 80


def test_layers_start_from_a_head_with_smaller_weights(make, reviews):
    learn, norms = make(reviews), []

    class Watch(Callback):
        order = -5

        def before_batch(self):
            norms.append(float(self.learn.model.head.classifier.weight.norm()))

    learn.fit_gradual(learn.phases()[:1])
    solved = float(learn.model.head.classifier.weight.norm())
    learn.fit_gradual(learn.phases()[1:], cbs=[Watch()])
    assert norms[0] == pytest.approx(0.3 * solved)


def test_layers_that_continue_to_train_keep_their_moments(make, reviews):
    learn, seen = make(reviews), []

    class Watch(Callback):
        def before_fit(self):
            state = self.opt.opt.state
            seen.append({n: int(state[p]["step"]) for n, p in self.learn.model.named_parameters() if state.get(p)})

    learn.fit_gradual([Phase("head", 3, 2, 1e-3), Phase("last", 2, 1, 1e-3)], cbs=[Watch()])
    steps = 2 * len(learn.dls.train)
    assert seen == [{}, {"head.classifier.weight": steps, "head.classifier.bias": steps}]
    learn.fit_gradual([Phase("head", 3, 1, 1e-3)], cbs=[Watch()])
    assert seen[-1] == {}  # another run
