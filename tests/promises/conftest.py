"""A trained learner and its artifact, shared by all tests of this folder; no test changes them."""

import pandas as pd
import pytest
from conftest import BAD, GOOD

from kickbert import learner_from_df


def make_learner(tiny: str, path, **kwargs):
    """A learner of two classes on the tiny encoder."""
    texts = [f"{text} no {i}" for i in range(12) for text in GOOD + BAD]
    df = pd.DataFrame({"text": texts, "label": (["good"] * 5 + ["bad"] * 5) * 12})
    return learner_from_df(df, **{"model": tiny, "path": path, "precision": "fp32", "bs": 16, **kwargs})


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):
    learn = make_learner(tiny, tmp_path_factory.mktemp("promises"))
    learn.fit_one_cycle(2, 5e-3)
    return learn


@pytest.fixture(scope="session")
def folder(trained, tmp_path_factory):
    """An artifact that transformers can express."""
    return trained.save_artifact(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def learn(tiny, tmp_path):
    """A new learner for one test."""
    return make_learner(tiny, tmp_path)
