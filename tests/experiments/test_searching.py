"""A search: trials share the cache, most end early, a kill loses none, the winner is judged on rows it never saw."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert import Cache
from kickbert.experiments import search_results, searching

optuna = pytest.importorskip("optuna", reason="the extra kickbert[search] is not installed")

SPACE = {"depth": [1, 2], "epochs": (1, 2), "lr": (1e-3, 1e-2, "log"), "pooling": ["cls", "mean"]}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(search_results, "ROUNDS", 20)


@pytest.fixture
def recipe(tiny, tmp_path) -> dict:
    return {"model": tiny, "max_length": 16, "precision": "fp32", "path": tmp_path}


def test_trials_climb_by_rungs_and_the_best_goes_straight_into_a_learner(reviews, recipe):
    cache = Cache()
    found = kickbert.search(reviews, SPACE, trials=7, cache=cache, **recipe)
    trials = found.trials
    assert len(trials) == 7 and set(trials["state"]) == {"complete", "pruned"}
    assert (trials.loc[trials["state"] == "pruned", "rungs"] < 2).any()  # ended on a low rung
    assert {"depth", "epochs", "lr", "pooling"} <= set(trials.columns)
    assert trials["score"].between(0, 1).all()
    pooled = [store for store in cache.by_key.values() if store.depth == 2]
    assert len(pooled) == 2  # one for each pooling, whatever the number of trials
    assert found.check["recipe"].tolist() == ["best", "default", "difference"]
    assert found.check["rows"].eq(24).all() and "better than the default recipe" in found.conclusion
    learn = kickbert.learner_from_df(reviews, **found.best_recipe)
    assert learn.fit_gradual()["epochs"].tolist() == (found.best_recipe.get("schedule") or {"epochs": [1, 2]})["epochs"]
    assert "difference" in repr(found) and found.conclusion in found._repr_html_()


def test_a_pruned_trial_ends_outside_of_the_fit(make, reviews):
    trial = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(lower=2.0)).ask()
    learn, rungs = make(reviews), searching.Rungs(trial, 2)
    with pytest.raises(optuna.TrialPruned, match="ended on rung 1 of 2"):
        learn.fit_gradual(cbs=[rungs])
    assert rungs not in learn.cbs and learn.phase_title == ""  # fastai has cleaned up
    assert len(learn.fit_gradual()) == 2


def test_one_step_goes_on_across_phases(make, reviews):
    study = optuna.create_study()
    trial = study.ask()
    learn = make(reviews)
    ladder = learn.fit_gradual(cbs=[searching.Rungs(trial, 9)])
    assert study.trials[0].intermediate_values == {1: ladder["accuracy"][0], 3: ladder["accuracy"][1]}


def test_the_check_is_of_rows_that_no_trial_saw(reviews, recipe, monkeypatch):
    seen, fold = set(), searching.train_fold

    def spying(assignment, number, options, fit):
        def spied(learn):
            for part in ("train", "valid"):
                seen.update(learn.labeled_rows(part)[0])
            fit(learn)

        return fold(assignment, number, options, spied)

    monkeypatch.setattr(searching, "train_fold", spying)
    df = reviews.assign(text=[f"{text} {i}" for i, text in enumerate(reviews["text"])])
    found = kickbert.search(df, {"depth": [0], "pooling": ["cls", "mean"]}, trials=2, **recipe)
    assert len(set(df["text"]) - seen) == found.check["rows"].iloc[0] == 24


class Killed(BaseException):
    pass


def test_a_kill_loses_no_trial_and_another_search_has_its_own(reviews, recipe, tmp_path, monkeypatch):
    space, numbers, fold = {"depth": [0], "head_lr": (1e-3, 1e-2)}, [], searching.train_fold

    def counted(assignment, number, options, fit):
        if len(numbers) == 3:
            raise Killed
        numbers.append(options.get("schedule"))
        return fold(assignment, number, options, fit)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(searching, "train_fold", counted)
        kickbert.search(reviews, space, trials=4, folder=tmp_path / "s", **recipe)
    assert numbers[0] is None and len(numbers) == 3  # the default recipe and two trials
    found = kickbert.search(reviews, space, trials=4, folder=tmp_path / "s", **recipe)
    lr = found.trials["head_lr"]
    assert lr.iloc[:2].tolist() == [schedule["lr"][0] for schedule in numbers[1:]] and lr.is_unique and len(lr) == 4
    monkeypatch.setattr(searching, "train_fold", None)
    again = kickbert.search(reviews, space, trials=4, folder=tmp_path / "s", **recipe)  # nothing is left to train
    pd.testing.assert_frame_equal(again.check, found.check)
    with pytest.raises(TypeError):  # other rows are another search
        kickbert.search(reviews.iloc[:-2], space, trials=4, folder=tmp_path / "s", **recipe)


SCRIPT = """
import sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert
df = pd.read_csv(sys.argv[1])
space = {"depth": [0], "head_lr": (1e-3, 1e-2)}
found = kickbert.search(df, space, trials=6, folder=sys.argv[3], model=sys.argv[2], max_length=16, precision="fp32")
print(len(found.trials), found.trials["head_lr"].nunique())
"""


def test_two_processes_share_a_search(reviews, tiny, tmp_path):
    reviews.to_csv(tmp_path / "rows.csv", index=False)
    call = [sys.executable, "-c", SCRIPT, tmp_path / "rows.csv", tiny, tmp_path / "s"]
    processes = [subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    out = [process.communicate(timeout=200) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], out
    trials, different = map(int, max(text.split("\n")[-2] for text, _ in out).split())
    assert 6 <= trials <= 7 and different == trials  # both may have begun the last one


def test_a_study_is_made_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        studies = list(pool.map(lambda _: searching._study(tmp_path / "search.db", "it"), range(4)))
    assert len({study._study_id for study in studies}) == 1


def test_a_full_disk(reviews, recipe, tmp_path):
    from sqlalchemy import Engine, event

    options = {"trials": 2, "folder": tmp_path / "s", **recipe}
    kickbert.search(reviews, {"depth": [0]}, **options)
    full = lambda connection, _: connection.execute("PRAGMA max_page_count = 1")  # noqa: E731 - no page more than now
    event.listen(Engine, "connect", full)
    try:
        with pytest.raises(OSError, match=r"could not be written to .*search\.db \(.*full.*\); make room there"):
            kickbert.search(reviews, {"depth": [0], "dropout": [i / 1000 for i in range(900)]}, **options)
    finally:
        event.remove(Engine, "connect", full)


def test_the_budget_ends_a_search_and_the_default_is_told(reviews, recipe):
    found = kickbert.search(reviews, {"pooling": ["cls"]}, trials=3, budget="0.001 s", **recipe)
    assert found.trials.empty and found.importances.empty and "none of 0 trials was better" in found.conclusion
    assert found.best_recipe == recipe and (found.check.iloc[2, 1:4] == 0).all()


def test_diverged_trials_are_pruned(reviews, recipe):
    found = kickbert.search(reviews, {"depth": [0], "head_lr": [1e30]}, trials=2, **recipe)
    assert len(found.trials) == 2


@pytest.mark.parametrize("kind", ["labels", "number"])
def test_several_labels_and_numbers_are_searched_too(reviews, recipe, kind):
    labels = [["a", "b"] if label == "good" else ["a"] for label in reviews["label"]]
    df = reviews.assign(label=labels if kind == "labels" else np.linspace(0.0, 1.0, len(reviews)))
    found = kickbert.search(df, {"depth": [0], "pooling": ["cls", "mean"]}, trials=2, **recipe)
    assert found.check.columns[1] == ("micro-F1" if kind == "labels" else "R2") and len(found.trials) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials=0 must be at least 1"),
        ({"budget": "soon"}, r"budget='soon' is no time; give seconds, or a number and one of"),
        ({"space": {"poling": ["cls"]}}, "space has 'poling'.*Did you mean 'pooling'"),
    ],
)
def test_what_cannot_be_searched(reviews, recipe, options, message):
    with pytest.raises(ValueError, match=message):
        kickbert.search(reviews, **options, **recipe)
