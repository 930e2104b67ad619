"""Presets: their phases for encoders of several depths, and names that do not exist."""

import pytest

from kickbert.training.presets import preset
from kickbert.training.schedule import gradual_unfreezing


def test_fast_trains_nothing_in_the_encoder():
    head, side = preset("fast", 8, {"steps": 10})
    assert (head.freeze_to, side.freeze_to) == (7, 7) and side.side and side.epochs == 16
    assert head.side  # the states of its depths come from one pass


def test_presets_follow_a_schedule_without_a_phase_for_the_head():
    schedule = {"layers": (2, 4), "steps": 100}
    assert [phase.freeze_to for phase in preset("fast", 8, schedule)] == [7, 7]
    assert [phase.side for phase in preset("auto", 8, schedule)] == [False] * 4
    assert [phase.freeze_to for phase in preset("auto", 8, schedule)] == [5, 3, 2, 2]


def test_balanced_is_gradual_unfreezing_with_the_schedule():
    assert preset("balanced", 8, {"steps": 20}) == gradual_unfreezing(8, steps=20)
    assert preset("balanced", 8, {"epochs": (1, 9)}) == gradual_unfreezing(8, epochs=(1, 9))


def test_best_trains_all_layers_for_longer():
    head, layers = preset("best", 8, {"steps": 100})
    assert (head.head, layers.freeze_to, layers.epochs) == ("solved", 1, 3)
    assert preset("best", 8, {"steps": 100, "lr": (1e-3, 5e-5)})[1].lr == 5e-5


@pytest.mark.parametrize(
    ("layers", "freeze_to"), [(2, [3, 3, 1, 1]), (4, [5, 5, 1, 1]), (6, [7, 7, 3, 2, 2]), (12, [13, 13, 9, 5, 2, 2])]
)
def test_auto_climbs_from_the_head_over_the_side_network_to_deeper_layers(layers, freeze_to):
    phases = preset("auto", layers + 2, {})
    assert [phase.freeze_to for phase in phases] == freeze_to
    assert [phase.side for phase in phases] == [False, True] + [False] * (len(phases) - 2)
    assert [phases[0], phases[2]] == gradual_unfreezing(layers + 2)
    assert all(phase.lr == 2e-4 and phase.head == "kept" for phase in phases[3:-1])


def test_an_unknown_preset_is_refused_with_the_nearest_one():
    with pytest.raises(
        ValueError, match=r"preset 'fats' is not one of fast, balanced, best, auto. Did you mean 'fast'\?"
    ):
        preset("fats", 8, {})
