"""Folds: every row judged once by a model that never saw it, in the order of df, and a kill loses no fold."""

import numpy as np
import pandas as pd
import pytest

from kickbert import compare, cross_validate
from kickbert.data.splits import fold_assignments
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm, paired_test
from kickbert.experiments.comparison import row_losses
from kickbert.experiments.cross_validation import aligned
from kickbert.targets.fitting import fit_target


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_every_row_is_judged_once_in_each_repeat(several, grouped):
    rng = np.random.default_rng(0)
    strata = rng.integers(0, 2, (120, 3)) if several else rng.integers(0, 3, 120)
    groups = np.arange(120) // 4 if grouped else None
    parts = fold_assignments(strata, groups, 4, 2, 0.2, 0)
    assert len(parts) == 8
    for repeat in (parts[:4], parts[4:]):
        assert (np.array([p == "test" for p in repeat]).sum(0) == 1).all()
    assert any((a != b).any() for a, b in zip(parts[:4], parts[4:], strict=True))
    for part in parts:
        assert 0.1 < (part == "valid").sum() / (part != "test").sum() < 0.3
        if grouped:
            assert pd.Series(part).groupby(groups).nunique().max() == 1


@pytest.mark.parametrize("how", [(1, 1, 0.1), (200, 1, 0.1), (5, 0, 0.1), (5, 1, 0.0)])
def test_bad_folds(how):
    with pytest.raises(ValueError, match="must be from 2 to 120"):
        fold_assignments(np.zeros(120), None, *how, 0)


def short(learn):
    learn.freeze()
    learn.fit_one_cycle(4, 1e-2)


@pytest.fixture
def recipe(tiny) -> dict:
    return {"model": tiny, "max_length": 16, "fit": short, "folds": 3}


def test_predictions_stand_in_the_order_of_df(reviews, recipe):
    df = reviews.assign(text=reviews["text"].where(reviews.index != 5))
    found = cross_validate(df, **recipe)
    assert found.probs.index.equals(df.index) and found.probs.loc[5].isna().all()
    assert len(found.predictions) == len(df) - 1 and len(found.folds) == 3
    shuffled = df.sample(frac=1, random_state=1)
    again = cross_validate(shuffled, **recipe)
    assert again.probs.index.equals(shuffled.index)
    right = (found.probs["label"] == df["label"]).drop(5).mean()
    assert right == pytest.approx(found["accuracy"] if hasattr(found, "__getitem__") else right)
    assert "accuracy" in repr(found)


def test_a_kill_loses_no_fold(reviews, recipe, tmp_path):
    calls = []

    def killed(learn):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        short(learn)

    with pytest.raises(KeyboardInterrupt):
        cross_validate(reviews, **recipe | {"fit": killed}, folder=tmp_path)
    calls[:] = [1] * 10
    found = cross_validate(reviews, **recipe | {"fit": killed}, folder=tmp_path)
    assert len(calls) == 11  # one fold was left
    whole = cross_validate(reviews, **recipe | {"fit": killed}, folder=tmp_path)
    assert len(calls) == 11 and whole.probs.equals(found.probs)
    cross_validate(reviews.assign(text=reviews["text"] + "!"), **recipe | {"fit": killed}, folder=tmp_path)
    assert len(calls) == 14  # other rows, other folds


def test_buckets_are_the_same_in_all_folds(reviews, recipe):
    df = reviews.assign(amount=np.random.default_rng(0).lognormal(3, 1, len(reviews)))
    found = cross_validate(df, **recipe, label_col="amount", bins=3)
    assert found.predictions.target.names == list(found.probs.filter(like="prob_").columns.str[5:])
    assert {"quadratic kappa", "seconds"} <= set(found.folds)


def test_a_class_that_a_fold_never_saw_has_no_chance():
    own, whole = fit_target(pd.Series(["a", "c"] * 3)), fit_target(pd.Series(["a", "b", "c"] * 3))
    probs, decided = aligned(own, whole, np.array([[0.2, 0.8]]), np.array([1]))
    assert probs.tolist() == [[0.2, 0.0, 0.8]] and decided.tolist() == [2]


def test_better_is_said_only_where_it_is(reviews, recipe):
    def untrained(learn):
        pass

    def whole(learn):
        learn.fit_one_cycle(6, 4e-3)

    recipes = {"trained": {"fit": whole}, "not trained": {"fit": untrained}, "twin": {"fit": whole}}
    found = compare(recipes, reviews, **recipe)
    assert "'not trained'" in found.told.split(";")[0] and "is better than" in found.told
    assert "cannot be told" in found.told and found.table["recipe"].iloc[-1] == "not trained"
    with pytest.raises(ValueError, match="at least two"):
        compare({"one": {}}, reviews, **recipe)
    with pytest.raises(ValueError, match="different things"):
        compare(
            {"a": {}, "b": {"label_col": "other"}}, reviews.assign(other=reviews["label"][::-1].to_numpy()), **recipe
        )


def test_the_paired_test_is_mcnemars():
    rng = np.random.default_rng(0)
    same = rng.random(500)
    assert paired_test(same, same) == 1
    a = np.zeros(300)
    b = a.copy()
    b[:12] = 1
    assert paired_test(a, b) == pytest.approx(2 * 0.5**12, abs=5e-4)
    low = [paired_test(rng.random(80) < 0.3, (rng.random(80) < 0.3).astype(float), s) for s in range(40)]
    assert np.mean(np.array(low) < 0.05) < 0.15


def test_losses_and_holm():
    ordered = fit_target(pd.Series([1.0, 2, 3, 4, 5, 6]), bins=3)
    found = Predictions(ordered, np.eye(3), np.array([0, 1, 2]), np.array([2, 1, 2]))
    assert row_losses(found).tolist() == [2, 0, 0]
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]


def test_more_rows(reviews, recipe):
    from kickbert.experiments import by_size

    table = by_size(reviews, [10, 80], **recipe | {"folds": 4}, repeats=2)
    assert table["rows"].tolist() == [10, 80, 10, 80] and table["repeat"].tolist() == [0, 0, 1, 1]
    means = table.groupby("rows")["accuracy"].mean()
    assert means[80] >= means[10]
    with pytest.raises(ValueError, match="must be from 2 to"):
        by_size(reviews, [10, 5000], **recipe)
