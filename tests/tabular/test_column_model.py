"""Offsets predict the target of new rows, do not overfit training rows, and survive as JSON and arrays."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.campaigns import campaigns

from kickbert.tabular.column_model import ColumnModel
from kickbert.tabular.columns import Category, Date, Number
from kickbert.tabular.fitting import fit_columns
from kickbert.targets.fitting import fit_target

COLUMNS = (Category("category", ("Games", "Art", "Food")), Number("goal"), Date("launched", "%Y-%m-%d"))


def fitted(df, label=None, **options):
    values = df["label"] if label is None else label
    target = fit_target(values, **options)
    return target, *fit_columns(df, COLUMNS, target, target.encode(values))


def test_offsets_predict_new_rows_and_training_rows_get_those_of_other_folds():
    df = campaigns(400)
    target, model, held = fitted(df)
    new = campaigns(200, seed=1)
    right = (model.offsets(new).argmax(1) == target.encode(new["label"])).mean()
    own = (model.offsets(df).argmax(1) == target.encode(df["label"])).mean()
    out_of_fold = (held.argmax(1) == target.encode(df["label"])).mean()
    assert right > 0.5 and abs(out_of_fold - right) < 0.1 < own - out_of_fold
    assert held.dtype == np.float32 and held.shape == (400, 3)


def test_columns_of_noise_add_nothing():
    df = campaigns(300)
    _, model, held = fitted(df, pd.Series(np.random.default_rng(99).choice(["a", "b"], 300)))
    assert model.scale < 0.4 and np.abs(held).max() < 0.5


@pytest.mark.parametrize("kind", ["several labels", "number", "two classes", "rare class", "bins"])
def test_every_kind_of_target(kind):
    df = campaigns(300)
    high = df["label"] == "high"
    labels, options = {
        "several labels": ([["high", "x"] if h else ["low"] for h in high], {}),
        "number": (np.where(high, 9.0, 1.0) + np.arange(300) / 1000, {"task": "regression"}),
        "two classes": (np.where(high, "yes", "no"), {}),
        "rare class": (["once", *np.where(high, "yes", "no")[1:]], {}),
        "bins": (df["goal"] * np.where(high, 9, 1), {"bins": 4}),
    }[kind]
    target, model, held = fitted(df, pd.Series(labels), **options)
    assert held.shape == (300, len(target.names)) and np.isfinite(held).all()
    probs = target.activate(model.offsets(df).astype(float))
    if kind == "several labels":
        assert np.array_equal(probs[:, target.names.index("high")] > 0.5, high)
    elif kind != "bins":
        position = 0 if kind == "number" else target.names.index("yes")
        assert np.array_equal(probs[:, position] > probs[:, position].mean(), high)


def test_a_model_is_restored_from_json_and_arrays():
    df = campaigns()
    _, model, _ = fitted(df)
    again = ColumnModel.from_parts(json.loads(json.dumps(model.to_dict())), model.to_arrays())
    odd = df.assign(category=["unseen", None, *df["category"][2:]], goal=[np.nan, np.inf, *df["goal"][2:]])
    with pytest.warns(UserWarning, match="'goal' is not a finite number"):
        assert np.array_equal(again.offsets(odd), model.offsets(odd))


def test_a_missing_column_is_refused_or_imputed():
    df = campaigns()
    _, model, _ = fitted(df)
    with pytest.raises(ValueError, match=r"column 'goal', which the model reads beside the text, is missing; .*impute"):
        model.offsets(df.drop(columns="goal"))
    with pytest.raises(ValueError, match=r"'category', .* is missing; give a DataFrame or a list of dicts"):
        model.offsets(["a text"])
    lenient = model.with_missing("impute")
    assert np.array_equal(lenient.offsets(df.drop(columns="goal")), model.offsets(df.assign(goal=None)))
    assert np.ptp(lenient.offsets(["a text", "another"]), axis=0).max() == 0
    with pytest.raises(ValueError, match="missing='ignore' is not one of"):
        model.with_missing("ignore")


def test_other_types_and_orders_of_the_same_columns_are_the_same():
    df = campaigns()
    _, model, _ = fitted(df)
    dates = df.assign(launched=pd.to_datetime(df["launched"]), goal=df["goal"].astype(str))
    assert np.array_equal(model.offsets(dates[dates.columns[::-1]]), model.offsets(df))
    assert np.array_equal(model.offsets(df.to_dict("records")), model.offsets(df))


def test_the_effect_of_a_column_is_what_is_lost_without_it():
    df = campaigns(400)
    target, model, _ = fitted(df)
    row = {"category": "Games", "goal": 5_000.0, "launched": "2020-02-02"}
    effects = model.effects(row)
    assert list(effects.effects) == ["category", "goal", "launched"]
    high = target.names.index("high")
    assert effects.effects["category"][high] > 0 < effects.effects["goal"][high]
    without = model.offsets([row | {"goal": None}])[0]
    assert effects.offsets - effects.effects["goal"] == pytest.approx(without, abs=1e-6)
