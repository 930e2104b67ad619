"""Learners that are saved, and an artifact that may be changed."""

import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import REPO
from helpers.artifacts import TASKS


@pytest.fixture
def rows(reviews):
    rng = np.random.default_rng(0)
    return reviews.assign(
        amount=rng.lognormal(3, 1, len(reviews)),
        tags=[["x", label] if i % 3 else [] for i, label in enumerate(reviews["label"])],
        warm=(reviews["label"] == "good").astype(int),
        cold=(reviews["label"] == "bad").astype(int),
        more="<b>and</b> more of it",
    )


@pytest.fixture
def trained(make, rows):
    def train(how: str = "labels", **kwargs):
        learn = make(rows, **TASKS[how], **kwargs)
        learn.fit_one_cycle(1, 4e-3)
        return learn

    return train


@pytest.fixture
def old(tmp_path):
    """An artifact that may be changed; `reseal` writes its manifest anew."""
    return shutil.copytree(REPO / "tests" / "fixtures" / "artifact-0.1", tmp_path / "v1")


@pytest.fixture
def pairs(reviews) -> pd.DataFrame:
    """Reviews with a second column of text."""
    return reviews.assign(more=[f"and {text[::-1]}" for text in reviews["text"]])
