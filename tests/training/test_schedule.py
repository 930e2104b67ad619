"""Schedules: what trains when, and the curves of the learning rates."""

import numpy as np
import pytest

from kickbert.training.schedule import SHAPES, Phase, gradual_unfreezing, one_cycle, slanted_triangle


def test_phases_go_from_the_head_down():
    phases = gradual_unfreezing(14, layers=(0, 2, 4, -1), epochs=(1, 1, 1, 1), lr=1e-3)
    assert [p.freeze_to for p in phases] == [13, 11, 9, 0]
    assert [p.name for p in phases] == ["head", "last 2 layers", "last 4 layers", "everything"]


def test_an_encoder_of_few_layers_merges_phases_that_train_the_same():
    phases = gradual_unfreezing(4, layers=(0, 2, 4), epochs=(1, 1, 2), lr=1e-3)
    assert [(p.name, p.freeze_to, p.epochs) for p in phases] == [("head", 3, 1), ("last 2 layers", 1, 2)]


def test_rates_fall_from_the_head_and_stop_at_the_frozen_groups():
    rates = Phase("x", freeze_to=3, epochs=1, lr=1.0, decay=0.5).rates(6)
    assert rates == [0, 0, 0, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("curve", [one_cycle, slanted_triangle])
def test_shapes_rise_to_one_at_the_warmup_and_fall(curve):
    at = np.linspace(0, 1, 1001)
    values = np.array([curve(p, 0.1) for p in at])
    assert values.argmax() == 100 and values.max() == pytest.approx(1)
    assert (np.diff(values[:101]) > 0).all() and (np.diff(values[101:]) < 0).all()


def test_the_slanted_triangle_is_that_of_the_paper():
    """Equation 3 of Howard and Ruder 2018 with cut_frac 0.1 and ratio 32, step by step."""
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


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"lr": 0.0}, {"decay": 1.5}, {"warmup": 0.0}, {"shape": "square"}, {"shape": None}]
)
def test_bad_phases(bad):
    with pytest.raises(ValueError, match=r"shape=|needs epochs"):
        Phase(**{"name": "x", "freeze_to": 0, "epochs": 1, "lr": 1e-3, **bad})


def test_bad_schedules():
    with pytest.raises(ValueError, match="must ascend"):
        gradual_unfreezing(8, layers=(2, 0), epochs=(1, 1), lr=1e-3)
    with pytest.raises(ValueError, match="must be of one length"):
        gradual_unfreezing(8, layers=(0, 2), epochs=(1,), lr=1e-3)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_has_its_peak_at_the_end_of_the_warmup(name):
    phase = Phase("head", 3, 1, 1e-3, shape=name, warmup=0.2)
    at = np.linspace(0, 1, 101)
    factors = np.array([phase.factor(p) for p in at])
    assert factors.max() == pytest.approx(1) and factors.argmax() == 20
    assert (np.diff(factors[:21]) > 0).all() and (factors >= 0).all()


def test_a_function_is_a_shape_of_its_own():
    assert Phase("head", 3, 1, 1e-3, shape=lambda at: at / 2, warmup=0.2).factor(0.5) == 0.25


@pytest.mark.parametrize("name", ["linear", "cosine", "one_cycle"])
def test_shapes_fall_from_the_warmup_to_the_end(name):
    phase = Phase("head", 3, 1, 1e-3, shape=name, warmup=0.4)
    assert [phase.factor(at) for at in (0.4, 0.7, 1)] == pytest.approx([1, 0.5, 0], abs=1e-4)


def test_the_head_alone_has_some_rows_where_layers_follow():
    assert [p.rows for p in gradual_unfreezing(8, head_rows=100)] == [100, None]
    assert [p.rows for p in gradual_unfreezing(8, layers=(0,), epochs=(1,), lr=1e-3, head_rows=100)] == [None]
    assert [p.rows for p in gradual_unfreezing(8, layers=(2,), epochs=(1,), lr=1e-3, head_rows=100)] == [None]


def test_a_phase_needs_rows():
    with pytest.raises(ValueError, match="rows=0"):
        Phase("head", 7, 1, 1e-3, rows=0)
