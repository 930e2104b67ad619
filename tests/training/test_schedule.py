"""Phases of gradual unfreezing: trainable groups, epochs, and learning rates."""

import pytest

from kickbert.training.schedule import Phase, epochs_for, gradual_unfreezing


def test_phases_go_from_the_head_down():
    phases = gradual_unfreezing(14, layers=(0, 2, 4, -1), epochs=(1, 1, 1, 1), lr=1e-3)
    assert [p.freeze_to for p in phases] == [13, 11, 9, 0]
    assert [p.name for p in phases] == ["head", "last 2 layers", "last 4 layers", "everything"]


def test_phases_that_train_the_same_layers_are_merged():
    phases = gradual_unfreezing(4, layers=(0, 2, 4), epochs=(1, 1, 2), lr=1e-3)
    assert [(p.name, p.freeze_to, p.epochs) for p in phases] == [("head", 3, 1), ("last 2 layers", 1, 2)]


@pytest.mark.parametrize(
    ("rows", "bs", "epochs"),
    [(10, 16, 160), (160, 16, 16), (161, 16, 15), (1_600, 16, 2), (2_100, 32, 3), (10_000, 32, 2), (0, 16, 160)],
)
def test_few_rows_get_more_epochs_so_that_the_layers_take_160_steps(rows, bs, epochs):
    assert epochs_for(-(-rows // bs)) == epochs
    assert [p.epochs for p in gradual_unfreezing(8, steps=-(-rows // bs))] == [1, epochs]


def test_the_head_is_solved_and_the_layers_start_from_a_smaller_one():
    assert [p.head for p in gradual_unfreezing(8, layers=(0, 2, 4), lr=1e-3)] == ["solved", "shrunk", "kept"]
    assert [p.head for p in gradual_unfreezing(8, layers=(0,))] == ["solved"]
    assert [(p.head, p.lr) for p in gradual_unfreezing(8, layers=(4,))] == [("kept", 4e-4)]  # nothing was solved


def test_rates_fall_from_the_head_to_zero_at_the_frozen_groups():
    rates = Phase("x", freeze_to=3, epochs=1, lr=1.0, decay=0.5).rates(6)
    assert rates == [0, 0, 0, 0.25, 0.5, 1.0]


def test_a_shape_may_be_a_function():
    assert Phase("head", 3, 1, 1e-3, shape=lambda at: at / 2, warmup=0.2).factor(0.5) == 0.25


@pytest.mark.parametrize(
    ("options", "rows"),
    [({}, [100, None]), ({"layers": (0,), "epochs": (1,), "lr": 1e-3}, [None]),
     ({"layers": (2,), "epochs": (1,), "lr": 1e-3}, [None])],
)  # fmt: skip
def test_the_head_has_fewer_rows_only_if_layers_train_after_it(options, rows):
    assert [p.rows for p in gradual_unfreezing(8, head_rows=100, **options)] == rows


@pytest.mark.parametrize(
    "bad",
    [{"epochs": 0}, {"lr": 0.0}, {"decay": 1.5}, {"warmup": 0.0}, {"shape": "square"}, {"shape": None}, {"rows": 0},
     {"head": "best"}],
)  # fmt: skip
def test_bad_phases_are_rejected(bad):
    with pytest.raises(ValueError, match=r"head=|shape=|needs epochs|rows=0 must be at least 1"):
        Phase(**{"name": "x", "freeze_to": 0, "epochs": 1, "lr": 1e-3, **bad})


def test_bad_schedules_are_rejected():
    with pytest.raises(ValueError, match="must ascend"):
        gradual_unfreezing(8, layers=(2, 0), epochs=(1, 1), lr=1e-3)
    with pytest.raises(ValueError, match="must have the same length"):
        gradual_unfreezing(8, layers=(0, 2), epochs=(1,), lr=1e-3)
