"""A teacher of given probabilities returns those of the usable rows; what is no teacher is refused."""

import numpy as np
import pandas as pd
import pytest

from kickbert.experiments.teachers import read_teacher
from kickbert.utils import hub

PROBS = pd.DataFrame({"prob_bad": [0.9, 0.2, 0.4], "prob_good": [0.1, 0.8, 0.6]})


def test_given_probabilities_are_those_of_the_usable_rows(tiny, tmp_path):
    teacher = read_teacher(PROBS.assign(label="good"), str(tiny), ["text"], "label")
    probs, decisions = teacher.predict(["a", "", "b"], np.array([True, False, True]), tmp_path)
    assert probs.tolist() == [[0.9, 0.1], [0.4, 0.6]] and decisions.tolist() == [0, 1]
    assert teacher.target.names == ["bad", "good"] and not list(tmp_path.iterdir())


def test_without_a_model_the_student_of_probabilities_is_the_default_encoder(tiny, monkeypatch):
    monkeypatch.setattr(hub, "_default_model", lambda: tiny)
    teacher = read_teacher(PROBS, None, ["text"], "label")
    assert (teacher.encoder.width, teacher.tokenizer.max_length) == (32, 64)


def test_probabilities_need_one_column_per_class(tiny):
    with pytest.raises(ValueError, match="are not class probabilities"):
        read_teacher(PROBS[["prob_bad"]], str(tiny), ["text"], "label")
    with pytest.raises(TypeError, match="must be a learner, a predictor"):
        read_teacher("models/k", None, ["text"], "label")
