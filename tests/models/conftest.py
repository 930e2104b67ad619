"""Saved learners, and an artifact that tests may change."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import BAD, GOOD
from helpers.artifacts import TASKS

from kickbert import learner_from_df


def review_rows() -> pd.DataFrame:
    """120 reviews with a target column for each task and a second column of text."""
    rng = np.random.default_rng(0)
    labels = (["good"] * 5 + ["bad"] * 5) * 12
    return pd.DataFrame(
        {
            "text": [f"{text} no {i}" for i in range(12) for text in GOOD + BAD],
            "label": labels,
            "amount": rng.lognormal(3, 1, 120),
            "tags": [["x", label] if i % 3 else [] for i, label in enumerate(labels)],
            "warm": [int(label == "good") for label in labels],
            "cold": [int(label == "bad") for label in labels],
            "more": "<b>and</b> more of it",
        }
    )


@pytest.fixture
def rows() -> pd.DataFrame:
    return review_rows()


@pytest.fixture(scope="session")
def trained_learners(tiny, tmp_path_factory):
    """Trained learners by task, each trained on first use; a test that changes one uses `trained`."""
    learners = {}

    def learner(how: str = "labels"):
        if how not in learners:
            path = tmp_path_factory.mktemp("trained")
            learners[how] = learner_from_df(
                review_rows(), model=tiny, path=path, precision="fp32", bs=16, seed=0, **TASKS[how]
            )
            learners[how].fit_one_cycle(1, 4e-3)
        return learners[how]

    return learner


@pytest.fixture
def trained(trained_learners):
    """A copy of a trained learner that a test may change."""
    return lambda how="labels": copy.deepcopy(trained_learners(how))


@pytest.fixture(scope="session")
def saved_bins(trained_learners, tmp_path_factory) -> Path:
    """The folder of an artifact that predicts ordered classes; no test changes it."""
    return trained_learners("bins").save_artifact(tmp_path_factory.mktemp("bins"))


@pytest.fixture
def saved(saved_bins, tmp_path) -> Path:
    """A copy of an artifact's folder that a test may change; `reseal` writes its manifest again."""
    return Path(shutil.copytree(saved_bins, tmp_path / "v1"))


@pytest.fixture
def pairs(reviews) -> pd.DataFrame:
    """Reviews with a second column of text."""
    return reviews.assign(more=[f"and {text[::-1]}" for text in reviews["text"]])
