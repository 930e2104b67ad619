"""Search: trials share the cache, are pruned, and resume after a kill; the best is compared on unused test rows."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert import Cache
from kickbert.experiments import search_results, searching
from kickbert.utils import hub

optuna = pytest.importorskip("optuna", reason="the extra kickbert[search] is not installed")

SPACE = {"depth": [1, 2], "epochs": (1, 2), "lr": (1e-3, 1e-2, "log"), "pooling": ["cls", "mean"]}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(search_results, "ROUNDS", 20)


@pytest.fixture
def recipe(tiny, tmp_path) -> dict:
    return {"model": tiny, "max_length": 16, "precision": "fp32", "path": tmp_path}


def test_trials_are_pruned_and_the_best_recipe_makes_a_learner(reviews, recipe):
    cache = Cache()
    noisy = np.random.default_rng(0).random(len(reviews)) < 0.4  # so that heads of other poolings differ
    reviews = reviews.assign(label=reviews["label"].where(~noisy, "good"))
    result = kickbert.search(reviews, SPACE, trials=7, cache=cache, **recipe)
    trials = result.trials
    assert len(trials) == 7 and set(trials["state"]) == {"complete", "pruned"}
    assert (trials.loc[trials["state"] == "pruned", "phases"] < 2).any()
    assert {"depth", "epochs", "lr", "pooling"} <= set(trials.columns)
    assert trials["score"].between(0, 1).all()
    pooled = [store for store in cache.by_key.values() if store.depth == 2]
    assert len(pooled) == 2  # one for each pooling, whatever the number of trials
    assert result.check["recipe"].tolist() == ["best", "default", "difference"]
    assert result.check["rows"].eq(24).all() and "better than the default recipe" in result.conclusion
    learn = kickbert.learner_from_df(reviews, **result.best_recipe)
    planned = [phase.epochs for phase in learn.phases()]
    assert planned == result.best_recipe.get("schedule", {"epochs": planned})["epochs"]
    assert "difference" in repr(result) and result.conclusion in result._repr_html_()


def test_the_best_recipe_names_the_default_encoder(reviews, recipe, tiny, monkeypatch):
    monkeypatch.setattr(hub, "_default_model", lambda: recipe["model"])
    options = {name: value for name, value in recipe.items() if name != "model"}
    result = kickbert.search(reviews, {"lr": [1e-3]}, trials=1, **options)
    assert result.best_recipe["model"] == tiny


def test_a_pruned_trial_raises_after_fastai_has_cleaned_up(make, reviews):
    trial = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(lower=2.0)).ask()
    learn, callback = make(reviews), searching.PhaseScores(trial, 2)
    with pytest.raises(optuna.TrialPruned, match="pruned after phase 1 of 2"):
        learn.fit_gradual(cbs=[callback])
    assert callback not in learn.cbs and learn.phase_title == ""
    assert len(learn.fit_gradual()) == 2


def test_steps_increase_across_phases(make, reviews):
    study = optuna.create_study()
    trial = study.ask()
    learn = make(reviews)
    ladder = learn.fit_gradual(cbs=[searching.PhaseScores(trial, 9)])
    assert study.trials[0].intermediate_values == {1: ladder["accuracy"][0], 3: ladder["accuracy"][1]}


def test_recipes_are_compared_on_unused_test_rows(reviews, recipe, monkeypatch):
    seen, fold = set(), searching.train_fold

    def spying(assignment, number, options, fit):
        def spied(learn):
            for part in ("train", "valid"):
                seen.update(learn.labeled_rows(part)[0])
            fit(learn)

        return fold(assignment, number, options, spied)

    monkeypatch.setattr(searching, "train_fold", spying)
    df = reviews.assign(text=[f"{text} {i}" for i, text in enumerate(reviews["text"])])
    result = kickbert.search(df, {"depth": [0], "pooling": ["cls", "mean"]}, trials=2, **recipe)
    assert len(set(df["text"]) - seen) == result.check["rows"].iloc[0] == 24


class Killed(BaseException):
    pass


@pytest.mark.system
def test_a_search_resumes_after_a_kill(reviews, recipe, tmp_path, monkeypatch):
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
    result = kickbert.search(reviews, space, trials=4, folder=tmp_path / "s", **recipe)
    lr = result.trials["head_lr"]
    assert lr.iloc[:2].tolist() == [schedule["lr"][0] for schedule in numbers[1:]] and lr.is_unique and len(lr) == 4
    monkeypatch.setattr(searching, "train_fold", None)
    again = kickbert.search(reviews, space, trials=4, folder=tmp_path / "s", **recipe)  # nothing is left to train
    pd.testing.assert_frame_equal(again.check, result.check)
    with pytest.raises(TypeError):  # other rows are another search
        kickbert.search(reviews.iloc[:-2], space, trials=4, folder=tmp_path / "s", **recipe)


SCRIPT = """
import sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd, kickbert
df = pd.read_csv(sys.argv[1])
space = {"depth": [0], "head_lr": (1e-3, 1e-2)}
result = kickbert.search(df, space, trials=6, folder=sys.argv[3], model=sys.argv[2], max_length=16, precision="fp32")
print(len(result.trials), result.trials["head_lr"].nunique())
"""


@pytest.mark.system
def test_two_processes_share_a_search(reviews, tiny, tmp_path):
    reviews.to_csv(tmp_path / "rows.csv", index=False)
    call = [sys.executable, "-c", SCRIPT, tmp_path / "rows.csv", tiny, tmp_path / "s"]
    processes = [subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    out = [process.communicate(timeout=200) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], out
    trials, different = map(int, max(text.split("\n")[-2] for text, _ in out).split())
    assert 6 <= trials <= 7 and different == trials  # both processes may have started the last one


def test_a_study_is_created_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        studies = list(pool.map(lambda _: searching._study(tmp_path / "search.db", "it"), range(4)))
    assert len({study._study_id for study in studies}) == 1


@pytest.mark.system
def test_a_full_disk(reviews, recipe, tmp_path):
    from sqlalchemy import Engine, event

    options = {"trials": 2, "folder": tmp_path / "s", **recipe}
    kickbert.search(reviews, {"depth": [0]}, **options)
    full = lambda connection, _: connection.execute("PRAGMA max_page_count = 1")  # noqa: E731 - no page more than now
    event.listen(Engine, "connect", full)
    try:
        with pytest.raises(OSError, match=r"could not be written to .*search\.db \(.*full.*\)\. Free disk space"):
            kickbert.search(reviews, {"depth": [0], "dropout": [i / 1000 for i in range(900)]}, **options)
    finally:
        event.remove(Engine, "connect", full)


def test_after_the_budget_the_search_returns_the_default_recipe(reviews, recipe):
    result = kickbert.search(reviews, {"pooling": ["cls"]}, trials=3, budget="0.001 s", **recipe)
    assert result.trials.empty and result.importances.empty and "none of 0 trials was better" in result.conclusion
    assert result.best_recipe == recipe and (result.check.iloc[2, 1:4] == 0).all()


def test_diverged_trials_are_pruned(reviews, recipe):
    result = kickbert.search(reviews, {"depth": [1], "lr": [1e30]}, trials=2, **recipe)
    assert len(result.trials) == 2


@pytest.mark.parametrize("kind", ["labels", "number"])
def test_a_search_supports_multi_label_and_regression(reviews, recipe, kind):
    labels = [["a", "b"] if label == "good" else ["a"] for label in reviews["label"]]
    df = reviews.assign(label=labels if kind == "labels" else np.linspace(0.0, 1.0, len(reviews)))
    result = kickbert.search(df, {"depth": [0], "pooling": ["cls", "mean"]}, trials=2, **recipe)
    assert result.check.columns[1] == ("micro-F1" if kind == "labels" else "R2") and len(result.trials) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials=0 must be at least 1"),
        ({"budget": "soon"}, r"budget='soon' is not a time\. Use seconds, or a number and one of"),
        ({"space": {"poling": ["cls"]}}, "space contains 'poling'.*Did you mean 'pooling'"),
    ],
)
def test_invalid_arguments_are_errors(reviews, recipe, options, message):
    with pytest.raises(ValueError, match=message):
        kickbert.search(reviews, **options, **recipe)
