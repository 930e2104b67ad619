"""Search spaces: validation, the default space for given rows, and the recipe for a point."""

import numpy as np
import pytest

import kickbert
from kickbert.experiments.search_space import check_space, default_space, recipe_at, suggest
from kickbert.targets.labels import Labels


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"poling": ["cls"]}, "not a hyperparameter that can be searched.*Did you mean 'pooling'"),
        ({"bins": [3, 4]}, "space contains 'bins', which cannot be searched"),
        ({"lr": (1e-3, 1e-4)}, r"is not a range. Give \(low, high\)"),
        ({"lr": (0, 1e-4, "log")}, "is not a range"),
        ({"lr": (1e-4,)}, "is not a range"),
        ({"pooling": []}, "must be a list of values"),
        ({"pooling": "cls"}, "must be a list of values"),
        ({}, "space is empty"),
    ],
)
def test_an_invalid_space_is_an_error(space, message):
    with pytest.raises(ValueError, match=message):
        check_space(space)


def test_phases_go_up_to_the_depth():
    layers = {depth: recipe_at({"depth": depth}, {})["schedule"]["layers"] for depth in (0, 1, 2, 4, 6, 12, -1)}
    assert layers == {
        0: [0],
        1: [0, 1],
        2: [0, 2],
        4: [0, 2, 4],
        6: [0, 2, 4, 6],
        12: [0, 2, 4, 8, 12],
        -1: [0, 2, 4, -1],
    }
    for counts in layers.values():
        kickbert.gradual_unfreezing(14, **recipe_at({"depth": counts[-1]}, {})["schedule"])


def test_a_recipe_combines_shared_and_chosen_values():
    recipe = recipe_at({"lr": 1e-4, "epochs": 3, "long": "tail", "decay": 0.8}, {"model": "minilm", "long": "truncate"})
    schedule = {"layers": [0, 2, 4], "epochs": [1, 1, 3], "lr": [2e-3, 1e-4, 1e-4], "decay": 0.8}
    assert recipe == {
        "model": "minilm", "long": "tail", "schedule": {**schedule, "warmup": 0.1, "shape": "one_cycle"},
    }  # fmt: skip


def test_the_default_space_depends_on_the_rows(tiny):
    even, uneven = np.array([0, 1] * 10), np.array([0] * 16 + [1] * 4)
    texts = ["a good film"] * 20
    plain = default_space(texts, even, Labels(("a", "b")), {"model": tiny})
    assert {"depth", "epochs", "lr", "pooling"} <= set(plain) and not {"long", "class_weights"} & set(plain)
    more = default_space(texts, uneven, Labels(("a", "b")), {"model": tiny, "max_length": 5, "pooling": "cls"})
    assert {"long", "class_weights"} <= set(more) and "pooling" not in more
    check_space(plain)
    check_space(more)


def test_values_of_any_type_can_be_chosen():
    optuna = pytest.importorskip("optuna", reason="the extra kickbert[search] is not installed")
    space = {"cleaning": [None, ["remove_html", str.lower]], "epochs": (1, 3), "dropout": (0.0, 0.5)}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    points = []
    for _ in range(12):
        trial = study.ask()
        points.append(suggest(trial, space))
        assert suggest(optuna.trial.FixedTrial(trial.params), space) == points[-1]
    assert {str(point["cleaning"]) for point in points} == {str(values) for values in space["cleaning"]}
    assert {point["epochs"] for point in points} == {1, 2, 3} and all(0 <= point["dropout"] <= 0.5 for point in points)
