"""Learners as pickles: exported or whole, in this process and in another."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from kickbert import Cache
from kickbert.text import EDA

FRESH = """
import pickle, sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd
file, exported = sys.argv[1], sys.argv[1].endswith(".export")
if exported:
    from fastai.learner import load_learner
    learn = load_learner(file)
else:
    learn = pickle.load(open(file, "rb"))
learn.predict_df(pd.read_csv(sys.argv[2])).to_csv(f"{file}.csv")
if not exported:
    learn.fit(1)  # its rows came along
"""


@pytest.mark.system
def test_an_exported_and_a_pickled_learner_predict_alike_in_another_process(make, reviews, tmp_path):
    learn = make(reviews)
    learn.fit_gradual()
    learn.export(tmp_path / "learn.export")
    (tmp_path / "learn.pickle").write_bytes(pickle.dumps(learn))
    csv = tmp_path / "reviews.csv"
    reviews.to_csv(csv, index=False)
    files = [tmp_path / "learn.export", tmp_path / "learn.pickle"]
    loading = [
        subprocess.Popen([sys.executable, "-c", FRESH, str(file), str(csv)], stderr=subprocess.PIPE, text=True)
        for file in files
    ]
    for process in loading:
        errors = process.communicate(timeout=200)[1]
        assert process.returncode == 0, errors
    learn.predict_df(reviews).to_csv(tmp_path / "expected.csv")
    for file in files:
        assert file.with_name(file.name + ".csv").read_text() == (tmp_path / "expected.csv").read_text()


@pytest.mark.parametrize(
    "how",
    [
        {"label_col": "many"},
        {"label_col": "amount", "bins": 2},
        {"label_col": "amount", "task": "regression"},
        {"augment": EDA(each_epoch=True), "optimizer": "adafactor", "loss": "focal", "sampling": "balanced"},
        {"long": "windows", "max_length": 12, "stride": 2, "pooling": "mean", "cleaning": "auto", "cache": Cache()},
    ],
)
def test_every_kind_of_learner_can_be_pickled(make, reviews, how):
    many = [["a", "b"][: 1 + i % 2] for i in range(len(reviews))]
    df = reviews.assign(many=many, amount=np.arange(len(reviews)) * 1.0)
    learn = make(df, **how)
    learn.fit(1)
    again = pickle.loads(pickle.dumps(learn))
    assert again.predict_df(df).equals(learn.predict_df(df))
    again.fit(1)
