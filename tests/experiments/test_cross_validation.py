"""Cross-validation: every row is predicted once, by a model not trained on it, and runs resume after a kill."""

import shutil
import subprocess
import sys
import threading
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fastai.callback.training import GradientClip
from fastai.losses import CrossEntropyLossFlat, FocalLossFlat
from fastai.metrics import F1Score, accuracy
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert import compare, cross_validate
from kickbert.data.splits import TEST
from kickbert.experiments import cross_validation
from kickbert.experiments.cross_validation import aligned
from kickbert.targets.fitting import fit_target
from kickbert.text import EDA
from kickbert.training.fitting import fit_default
from kickbert.utils import hub


def short(learn):
    learn.freeze()
    learn.fit_one_cycle(4, 1e-2)


@pytest.fixture
def recipe(tiny) -> dict:
    return {"model": tiny, "max_length": 16, "fit": short, "folds": 3}


def test_predictions_are_in_the_order_of_df(reviews, recipe, capsys):
    df = reviews.assign(text=reviews["text"].where(reviews.index != 5))
    result = cross_validate(df, **recipe)
    assert result.probs.index.equals(df.index) and result.probs.loc[5].isna().all()
    assert len(result.predictions) == len(df) - 1 and len(result.folds) == 3
    shuffled = df.sample(frac=1, random_state=1)
    assert cross_validate(shuffled, **recipe).probs.index.equals(shuffled.index)
    right = (result.probs["predicted_label"] == df["label"]).drop(5)
    assert right.mean() == pytest.approx(result.predictions.wrong.mean() * -1 + 1)
    summary = result.summary().set_index("score")
    assert summary.columns.tolist() == ["mean", "std"] and summary.loc["accuracy", "mean"] == pytest.approx(
        result.folds["accuracy"].mean()
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("fold 1/3  accuracy 0.") and lines[2].startswith("fold 3/3") and len(lines) == 6
    assert "3 folds, 119 rows" in repr(result) and "MCC" not in repr(result)
    assert "accuracy" in repr(result) and "accuracy" in result._repr_html_()


@pytest.fixture
def trained(monkeypatch, recipe) -> list[int]:
    """Numbers of the folds that would be trained. The default `fit` needs no name."""
    del recipe["fit"]
    numbers = []

    def fold(assignment, number, recipe, fit):
        numbers.append(number)
        rows = (assignment.parts[number] == TEST).sum()
        return {"probs": np.full((rows, 2), 0.5), "y_pred": np.zeros(rows, dtype=int), "seconds": np.array(0.0)}

    monkeypatch.setattr(cross_validation, "train_fold", fold)
    return numbers


def test_resuming_after_a_kill_reuses_finished_folds(reviews, recipe, trained, tmp_path, monkeypatch):
    fold = cross_validation.train_fold

    def killed(assignment, number, *args):
        if number == 2:
            raise KeyboardInterrupt
        return fold(assignment, number, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cross_validation, "train_fold", killed)
        cross_validate(reviews, **recipe, folder=tmp_path)
    assert trained == [0, 1]
    result = cross_validate(reviews, **recipe, folder=tmp_path)
    assert trained == [0, 1, 2]  # only the last fold was missing
    whole = cross_validate(reviews, **recipe, folder=tmp_path)
    assert trained == [0, 1, 2] and whole.probs.equals(result.probs)
    cross_validate(reviews.assign(text=reviews["text"] + "!"), **recipe, folder=tmp_path)
    assert len(trained) == 6  # other rows
    cross_validate(reviews.assign(note=threading.Lock()), **recipe, folder=tmp_path)
    assert len(trained) == 6  # an unused column


def test_folds_of_the_default_encoder_are_those_of_its_name(reviews, recipe, trained, tiny, tmp_path, monkeypatch):
    model = recipe.pop("model")
    cross_validate(reviews, **recipe, model=model, folder=tmp_path)
    monkeypatch.setattr(hub, "_default_model", lambda: tiny)
    cross_validate(reviews, **recipe, folder=tmp_path)
    assert len(trained) == 3
    other = shutil.copytree(tiny, tmp_path / "other")
    (other / "notes.txt").write_text("another encoder")
    monkeypatch.setattr(hub, "_default_model", lambda: str(other))
    cross_validate(reviews, **recipe, folder=tmp_path)
    assert len(trained) == 6


DIFFERENT = [
    ({"fit": fit_default}, {"fit": partial(fit_default, budget=60)}),
    ({"augment": EDA()}, {"augment": EDA(alpha=0.5)}),
    ({"cleaning": [str.upper]}, {"cleaning": [str.lower]}),
    ({"metrics": [accuracy]}, {"metrics": [F1Score()]}),
    ({"cbs": [GradientClip(1.0)]}, {"cbs": [GradientClip(0.1)]}),
    ({"loss": CrossEntropyLossFlat()}, {"loss": FocalLossFlat()}),
    ({"loss": F.cross_entropy}, {"loss": F.nll_loss}),
    ({"seed": 1}, {"seed": 2}),
    ({"precision": "fp32"}, {"precision": "bf16"}),
    ({"class_weights": "balanced"}, {"class_weights": {"good": 2.0}}),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_folds_are_reused_only_with_the_same_arguments(reviews, recipe, trained, tmp_path, one, other):
    for own in (one, other, one, other):
        cross_validate(reviews, **recipe | own, folder=tmp_path)
    assert trained == [0, 1, 2] * 2


def test_a_local_model_is_identified_by_its_files(reviews, recipe, trained, tiny, tmp_path):
    model = shutil.copytree(tiny, tmp_path / "model")
    cross_validate(reviews, **recipe | {"model": model}, folder=tmp_path / "folds")
    model = model.rename(tmp_path / "moved")
    cross_validate(reviews, **recipe | {"model": model}, folder=tmp_path / "folds")
    assert trained == [0, 1, 2]
    (model / "config.json").write_text((model / "config.json").read_text().replace('"gelu"', '"relu"'))
    cross_validate(reviews, **recipe | {"model": model}, folder=tmp_path / "folds")
    assert trained == [0, 1, 2] * 2


def test_a_hub_model_is_identified_by_its_commit(reviews, recipe, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(cross_validation, "model_tokenizer", lambda *args, **options: None)
    for commit in ("a", "a", "b"):
        config = SimpleNamespace(_commit_hash=commit)
        monkeypatch.setattr(cross_validation, "load", lambda loader, model, config=config: config)
        cross_validate(reviews, **recipe | {"model": "someone/model"}, folder=tmp_path)
    assert trained == [0, 1, 2] * 2


def test_runs_with_custom_code_resume_only_with_a_name(reviews, recipe, trained, tmp_path, capsys):
    recipe["fit"] = lambda learn: None
    for _ in range(2):
        cross_validate(reviews, **recipe, folder=tmp_path)
    assert trained == [0, 1, 2] * 2
    assert "starting over: fit: the function '<lambda>' is not from an installed library" in capsys.readouterr().out
    for name in ("v1", "v1", "v2"):
        cross_validate(reviews, **recipe, folder=tmp_path, name=name)
    assert len(trained) == 12
    cross_validate(reviews, **recipe | {"max_length": 12}, folder=tmp_path, name="v1")
    assert len(trained) == 15  # the name identifies only the code
    compare({"a": {}, "b": {"fit": lambda learn: 1}}, reviews, **recipe, folder=tmp_path, name="compared")
    assert len(trained) == 21  # each recipe has its own code


SCRIPT = """
import sys, pandas as pd, warnings; warnings.filterwarnings("ignore")
from fastai.callback.training import GradientClip
from kickbert import cross_validate
from kickbert.text import EDA

def shout(text):
    return text.upper() + "!"

def share(logits, targets):
    return (logits.argmax(1) == targets).float().mean()

class Own(EDA):
    def each(self, text, number, rng):
        return super().each(text, number, rng) + "?"

def fit(learn):
    print("training", file=sys.stderr)
    learn.fit(1)

df = pd.read_csv(sys.argv[1])
recipe = {"augment": Own(), "cleaning": ["remove_html", shout], "metrics": [share], "cbs": [GradientClip(1.0)]}
print(cross_validate(df, model=sys.argv[2], folds=2, fit=fit, folder=sys.argv[3], name="v1", **recipe).probs.to_csv())
"""


@pytest.mark.system
def test_runs_with_custom_code_resume_in_another_process(reviews, tiny, tmp_path):
    csv = tmp_path / "reviews.csv"
    reviews.head(40).to_csv(csv, index=False)
    command = [sys.executable, "-c", SCRIPT, str(csv), tiny, str(tmp_path / "folds")]
    first, second = (subprocess.run(command, capture_output=True, text=True) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout == second.stdout and "prob_good" in first.stdout
    assert [done.stderr.count("training") for done in (first, second)] == [2, 0]


def test_bins_are_the_same_in_all_folds(reviews, recipe):
    df = reviews.assign(amount=np.random.default_rng(0).lognormal(3, 1, len(reviews)))
    result = cross_validate(df, **recipe, label_col="amount", bins=3)
    assert result.predictions.target.names == list(result.probs.filter(like="prob_").columns.str[5:])
    assert {"quadratic kappa", "seconds"} <= set(result.folds)


def test_a_class_missing_from_a_fold_has_probability_zero():
    own, whole = fit_target(pd.Series(["a", "c"] * 3)), fit_target(pd.Series(["a", "b", "c"] * 3))
    probs, y_pred = aligned(own, whole, np.array([[0.2, 0.8]]), np.array([1]))
    assert probs.tolist() == [[0.2, 0.0, 0.8]] and y_pred.tolist() == [2]


def test_labels_and_numbers_of_a_fold_are_aligned_with_all_rows():
    own, whole = fit_target(pd.Series([["a"], ["c"]])), fit_target(pd.Series([["a", "b"], ["c"]]))
    probs, y_pred = aligned(own, whole, np.array([[0.2, 0.8]]), np.array([[0, 1]]))
    assert probs.tolist() == [[0.2, 0, 0.8]] and y_pred.tolist() == [[0, 0, 1]]
    own, whole = (fit_target(pd.Series(numbers), task="regression") for numbers in ([1.0, 2.0], [1.0, 5.0]))
    probs, y_pred = aligned(own, whole, own.standardize(np.array([1.5])).reshape(1, 1), np.zeros((1, 1)))
    assert np.allclose(whole.inverse_transform(probs.reshape(-1)), 1.5) and y_pred is probs
