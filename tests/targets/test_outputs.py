"""Predictions as a DataFrame and as JSON are the same, and missing for rows without text."""

import json

import numpy as np
import pandas as pd
import pytest

from kickbert.targets.fitting import fit_target
from kickbert.targets.outputs import prediction_frame, prediction_records

TARGETS = {
    "labels": (["a", "b"] * 2, {}),
    "buckets": ([1.0, 2.0, 3.0, 4.0], {"bins": 2}),
    "several": ([["a"], ["b"], [], ["a", "b"]], {}),
    "number": ([1.0, 4.0, 2.5, 3.0], {"task": "regression"}),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_frame_and_records_are_equal_and_missing_without_text(kind):
    values, how = TARGETS[kind]
    target = fit_target(pd.Series(values, name="y"), **how)
    probs = np.array([[0.25, 0.75], [0.6, 0.4], [0.1, 0.9]], dtype=np.float32)[:, : len(target.names)]
    empty, decided = np.array([False, True, False]), target.decide(probs)
    with pytest.warns(UserWarning, match=r"1 row without text, without a prediction: \[8\]"):
        frame = prediction_frame(target, probs, decided, pd.Index([7, 8, 9]), empty)
    records = prediction_records(target, probs, decided, empty)
    assert frame.columns[0] == "predicted_label"
    assert frame.isna().all(axis=1).tolist() == [False, True, False]
    assert [all(value is None for value in record.values()) for record in records] == [False, True, False]
    for record, (_, row) in zip(records, frame.iterrows(), strict=True):
        record["predicted_label"] = record.pop(next(iter(record)))
        flat = {f"prob_{name}": p for name, p in (record.pop("probabilities", None) or {}).items()} | record
        for name, value in flat.items():
            same = row[name] == pytest.approx(value) if isinstance(value, float) else row[name] == value
            assert same or (value is None and row.isna()[name]), name
    json.dumps(records)


def test_no_label_below_the_minimum_confidence():
    target = fit_target(pd.Series(["a", "b"] * 2))
    probs, none = np.array([[0.45, 0.55], [0.1, 0.9]]), np.zeros(2, dtype=bool)
    frame = prediction_frame(target, probs, probs.argmax(1), pd.RangeIndex(2), none, min_confidence=0.8)
    assert frame["predicted_label"].isna().tolist() == [True, False] and frame["confidence"].tolist() == [0.55, 0.9]
    records = prediction_records(target, probs, probs.argmax(1), none, min_confidence=0.8)
    assert [record["label"] for record in records] == [None, "b"] and records[0]["confidence"] == 0.55
    several = fit_target(pd.Series([["a"], ["b"]]))
    with pytest.raises(ValueError, match=r"min_confidence=0\.8 needs one label per row; the task is multi-label"):
        prediction_frame(several, probs, several.decide(probs), pd.RangeIndex(2), none, min_confidence=0.8)
