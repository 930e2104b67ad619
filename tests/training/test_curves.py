"""Learning-rate curves match their papers and fastai."""

import numpy as np
import pytest

from kickbert.training.curves import SHAPES, one_cycle, slanted_triangle


@pytest.mark.parametrize("curve", SHAPES.values(), ids=SHAPES)
def test_curves_rise_to_one_at_the_end_of_the_warmup(curve):
    values = np.array([curve(p, 0.1) for p in np.linspace(0, 1, 1001)])
    assert values.argmax() == 100 and values.max() == pytest.approx(1) and (values >= 0).all()
    assert (np.diff(values[:101]) > 0).all() and (np.diff(values[101:]) <= 0).all()


@pytest.mark.parametrize("name", ["linear", "cosine", "one_cycle"])
def test_curves_fall_from_the_warmup_to_the_end(name):
    assert [SHAPES[name](at, 0.4) for at in (0.4, 0.7, 1)] == pytest.approx([1, 0.5, 0], abs=1e-4)


def test_slanted_triangle_is_equation_3_of_the_paper():
    """Howard and Ruder 2018 with cut_frac 0.1 and ratio 32, step by step."""
    steps, cut_frac, ratio = 200, 0.1, 32
    cut = int(steps * cut_frac)
    for t in range(steps):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        assert slanted_triangle(t / steps) == pytest.approx((1 + p * (ratio - 1)) / ratio)


def test_one_cycle_is_fastais():
    from fastai.callback.schedule import combined_cos

    theirs = combined_cos(0.25, 1 / 25, 1.0, 1e-5)
    for p in np.linspace(0, 0.999, 50):
        assert one_cycle(p, 0.25) == pytest.approx(theirs(p), abs=1e-6)
