"""Schedules: what trains when, and the curves of the learning rates."""

import numpy as np
import pytest

from kickbert.training.schedule import SHAPES, Phase, gradual_unfreezing, one_cycle, rungs_of, slanted_triangle


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


def test_one_curve_over_all_phases_that_train_layers():
    head, two, four = gradual_unfreezing(8, (0, 2, 4), (1, 1, 3), 1e-3, decay=1.0, shape="linear", restart=False)
    whole = Phase("layers", 5, 4, 1e-3, shape="linear")
    assert head.span == (0.0, 1.0) and two.span == (0.0, 0.25) and four.span == (0.25, 1.0)
    for at in np.linspace(0, 1, 11):
        assert two.rates_at(at, 8) == pytest.approx(whole.rates_at(at / 4, 8))
        assert four.rates_at(at, 8)[5:] == pytest.approx(whole.rates_at(0.25 + 0.75 * at, 8)[5:])


def test_layers_that_join_are_warmed_up_alone():
    *_, phase = gradual_unfreezing(8, (0, 2, 4), (1, 1, 1), 1e-3, decay=1.0, warmup=0.2, restart=False)
    start, half, warm = (phase.rates_at(at, 8) for at in (0, 0.1, 0.2))
    assert start[:5] == [0] * 5 and start[5:] == [1e-3 * phase.factor(0)] * 3 and phase.factor(0) > 0.5
    assert half[3:5] == pytest.approx([half[5] / 2] * 2) and warm[3:] == [warm[3]] * 5


def test_one_phase_of_layers_has_the_same_rates_on_one_curve():
    assert gradual_unfreezing(8) == gradual_unfreezing(8, restart=False)


def test_rungs_past_the_schedule_start_a_curve_of_their_own():
    rungs = rungs_of(14, {"layers": (0, 2, 4), "epochs": (1, 1, 1), "lr": 1e-3, "restart": False})
    assert [(rung.span, rung.joined) for rung in rungs[2:4]] == [((0.5, 1.0), 11), ((0.0, 1.0), 0)]


def test_the_head_alone_has_some_rows_where_layers_follow():
    assert [p.rows for p in gradual_unfreezing(8, head_rows=100)] == [100, None]
    assert [p.rows for p in gradual_unfreezing(8, layers=(0,), epochs=(1,), lr=1e-3, head_rows=100)] == [None]
    assert [p.rows for p in gradual_unfreezing(8, layers=(2,), epochs=(1,), lr=1e-3, head_rows=100)] == [None]


def test_easy_rows_are_skipped_where_layers_train():
    assert [p.skip for p in gradual_unfreezing(8, (0, 2, 4), (1, 1, 2), 1e-3, skip=0.3)] == [0.0, 0.3, 0.3]


@pytest.mark.parametrize("skip", [1, -0.1, "half", None])
def test_no_share_of_the_easy_rows(skip):
    with pytest.raises(ValueError, match=r"skip=.* is no share in \[0, 1\) of the easy rows; 0 is for reading all"):
        gradual_unfreezing(8, skip=skip)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"span": span} for span in ((0.5, 0.5), (0, 1.1), (-0.1, 1))),
        {"rows": 0},
    ],
    ids=str,
)
def test_rows_and_spans_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        Phase("head", 7, 1, 1e-3, **wrong)
